"""Structured output: from `response_format` or the `structured` key to a mask the sampler obeys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..errors import LMStudioValueError
from .config import parse_prediction_config
from .structs import Struct

if TYPE_CHECKING:
    from ...sampling.sampler import Mask

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
        name = schema.pop("$ref").rpartition("/")[2]
        own = schema["$defs"].pop(name)
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
    if response_format is None:
        return None if structured is None or structured.get("type") == "none" else structured
    if structured is not None:
        raise LMStudioValueError("give response_format or the config key 'structured', not both")
    return parse_prediction_config({"structured": _read_format(response_format)}).structured


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


def compile_structured(setting: dict[str, Any], tokenizer: object) -> Mask:
    """Compile a checked setting to a mask with `apply(logits)`, `accept(id)` and `allows(id)`."""
    raise LMStudioValueError(
        f"structured output of type {setting.get('type')!r}: constrained decoding is not available "
        "yet in this version"
    )


def parse_structured(content: str, setting: dict[str, Any] | None) -> dict[str, Any] | str:
    """The JSON object in a structured answer; the content itself if there is none."""
    if setting is None:
        return content
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return parsed if isinstance(parsed, dict) else content
