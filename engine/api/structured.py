"""Structured output: from `response_format` or the `structured` key to a mask the sampler obeys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..errors import LMStudioValueError
from ..reasoning import AfterReasoning, tag_pieces
from .config import parse_prediction_config
from .structs import Struct

if TYPE_CHECKING:
    from ...formats.tokenizer import Tokenizer
    from ...sampling.grammar.program import CompiledGrammar
    from ...sampling.sampler import Mask
    from ..model import Model

DictSchema: TypeAlias = Mapping[str, Any]


@runtime_checkable
class ModelSchema(Protocol):
    """A class that can say its JSON schema, such as a pydantic model."""

    @classmethod
    def model_json_schema(cls) -> DictSchema:
        """Return the schema as a dict."""
        ...


class BaseModel(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base for classes that describe a structured answer, without pydantic."""

    @classmethod
    def model_json_schema(cls) -> DictSchema:
        """Return the JSON schema with sorted keys; the class itself is inlined, `$defs` stay."""
        schema = dict(msgspec.json.schema(cls))
        reference = schema.pop("$ref")
        name = reference.rpartition("/")[2]
        own = schema["$defs"].pop(name)
        if json.dumps(reference) in json.dumps([schema, own]):  # it holds others of its class
            schema["$defs"][name] = own
        if not schema["$defs"]:
            del schema["$defs"]
        found: DictSchema = msgspec.to_builtins({**schema, **own}, order="deterministic")
        return found


class LlmStructuredPredictionSetting(Struct):
    """A structured setting as LM Studio writes it."""

    type: str
    json_schema: Any = None
    gbnf_grammar: str | None = None


ResponseSchema: TypeAlias = (
    type[ModelSchema] | LlmStructuredPredictionSetting | DictSchema | type[BaseModel]
)


def structured_setting(
    response_format: ResponseSchema | None, structured: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The one setting that holds, as a checked dict of the `structured` key; None for free text."""
    if response_format is not None:
        if structured is not None:
            raise LMStudioValueError(
                "give response_format or the config key 'structured', not both"
            )
        given = {"structured": _read_format(response_format)}
        structured = parse_prediction_config(given).structured
    return None if structured is None or structured["type"] == "none" else structured


def _read_format(response_format: Any) -> dict[str, Any]:
    if isinstance(response_format, ModelSchema):
        return {"type": "json", "jsonSchema": response_format.model_json_schema()}
    if isinstance(response_format, Struct):
        return response_format.to_dict()
    if isinstance(response_format, Mapping) and "type" in response_format:
        is_setting = response_format.keys() & {"jsonSchema", "gbnfGrammar", "regex", "choices"}
        if is_setting:
            return dict(response_format)
        return {"type": "json", "jsonSchema": response_format}
    raise LMStudioValueError(
        f"could not read response_format {response_format!r}: expected a class with "
        "model_json_schema(), a JSON schema dict with a 'type' key, or a dict such as "
        "{'type': 'json', 'jsonSchema': ...}"
    )


def compile_structured(setting: dict[str, Any], model: Model) -> CompiledGrammar:
    """Compile a checked setting. Raises LMStudioValueError that says where the grammar is wrong."""
    from ...sampling.grammar import compile as grammar

    try:
        return _COMPILERS[setting["type"]](grammar, setting, model)
    except grammar.GrammarError as error:
        raise LMStudioValueError(f"structured {setting['type']}: {error}") from error


def _json(grammar: Any, setting: dict[str, Any], model: Model) -> CompiledGrammar:
    schema = setting.get("jsonSchema")
    order = setting.get("propertyOrder") or "declared"
    made: CompiledGrammar = grammar.compile_json_schema(
        {"type": "object"} if schema is None else schema, property_order=order
    )
    return made


def _gbnf(grammar: Any, setting: dict[str, Any], model: Model) -> CompiledGrammar:
    made: CompiledGrammar = grammar.compile_gbnf(
        _given(setting, "gbnfGrammar"),
        token_id=lambda text: _token_id(model.tokenizer, text),
        n_vocab=model.n_vocab,
    )
    return made


_COMPILERS: dict[str, Callable[[Any, dict[str, Any], Model], CompiledGrammar]] = {
    "json": _json,
    "gbnf": _gbnf,
    "regex": lambda grammar, setting, _: grammar.compile_regex(_given(setting, "regex")),
    "choice": lambda grammar, setting, _: grammar.compile_choice(_given(setting, "choices")),
}


def _given(setting: dict[str, Any], key: str) -> Any:
    if setting.get(key) is None:
        raise LMStudioValueError(f"structured {setting['type']}: found no {key!r}, expected one")
    return setting[key]


def _token_id(tokenizer: Tokenizer, text: str) -> int | None:
    """The one token that a text such as `<|im_end|>` names."""
    ids = tokenizer.encode(text, add_special=False, parse_special=True)
    return ids[0] if len(ids) == 1 else None


def structured_mask(
    grammar: CompiledGrammar, model: Model, tags: Mapping[str, str], open_tag: str | None
) -> Mask:
    """The grammar's mask over the model's vocabulary; reasoning sections in front run free."""
    from ...sampling.grammar.mask import GrammarMask

    mask = GrammarMask(grammar, model.token_trie)
    if not tags:
        return mask
    tokenizer = model.tokenizer
    return AfterReasoning(
        mask,
        tags,
        open_tag,
        token_text=tokenizer.token_text,
        openers=tag_pieces(tags, tokenizer.n_vocab, tokenizer.token_text),
        ends=tokenizer.eog,
    )


def parse_structured(
    content: str, answer: str, setting: dict[str, Any] | None
) -> dict[str, Any] | str:
    """The JSON object in a structured answer, reasoning left out; else the content itself."""
    if setting is None:
        return content
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return content
    return parsed if isinstance(parsed, dict) else content
