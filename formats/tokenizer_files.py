"""A checkpoint's tokenizer files -> the `tokenizer.ggml.*` keys that a GGUF file has in their
place.

    tokenizer.json     WordPiece and byte-level BPE, as the `tokenizers` library saves them
    tokenizer.model    SentencePiece with scores

Kinds of token, names of pre-tokenizers and U+2581 before a word's first WordPiece follow
llama.cpp's converter (conversion/base.py, conversion/bert.py).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .errors import TokenizerError
from .special_tokens import Kind
from .vocabulary import KEY

Entry = tuple[str, str, Any]  # key, type ("u32", "bool", "str", "[str]", "[i32]", "[f32]"), value
WORD_START: Final = "\u2581"
# The text of a special token in the configuration -> the key of its id.
SPECIAL: Final[Mapping[str, str]] = {
    "unk_token": "unknown",
    "sep_token": "seperator",
    "pad_token": "padding",
    "mask_token": "mask",
}
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# How a byte-level tokenizer cuts words -> the name for it.
CUTS: Final[Mapping[tuple[str, ...], str]] = {
    (_LLAMA_3,): "llama-bpe",
    (_LLAMA_3.replace("{1,3}", ""),): "qwen2",
    ("digits", "gpt-2"): "smollm",
    ("gpt-2",): "gpt-2",
}


def tokenizer_entries(folder: Path, vocabulary: int) -> Iterator[Entry]:
    """The keys of a checkpoint's tokenizer; ids up to `vocabulary` that it lacks are unused tokens.

    Raises TokenizerError that says what is missing or not known.
    """
    settings = _settings(folder)
    if (folder / "tokenizer.model").is_file():
        yield from _sentencepiece(folder, settings, vocabulary)
        return
    described = _json(folder / "tokenizer.json")
    model = described.get("model", {})
    kind = model.get("type")
    tokens, kinds = _tokens(described, vocabulary)
    if kind == "WordPiece":
        yield from _wordpiece(described, tokens, kinds)
    elif kind == "BPE":
        yield from _byte_level(described, tokens, kinds)
    else:
        raise TokenizerError(f"tokenizer.json: model {kind!r}, expected WordPiece or BPE")
    yield from _special(described, settings)


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and generation_config.json's ids where it is silent."""
    path = folder / "tokenizer_config.json"
    return _json(path) if path.is_file() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{path.name}: cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise TokenizerError(f"{path.name}: found {type(found).__name__}, expected an object")
    return found


def _tokens(described: dict[str, Any], vocabulary: int) -> tuple[list[str], list[int]]:
    ids = dict(described["model"]["vocab"])
    added = {entry["content"]: entry for entry in described.get("added_tokens", [])}
    ids |= {text: entry["id"] for text, entry in added.items()}
    texts = {id_: text for text, id_ in ids.items()}
    count = max(vocabulary, 1 + max(texts, default=-1))
    tokens, kinds = [], []
    for id_ in range(count):
        text = texts.get(id_)
        entry = added.get(text) if text is not None else None
        tokens.append(f"[PAD{id_}]" if text is None else text)
        kinds.append(_kind(text, entry))
    return tokens, kinds


def _kind(text: str | None, entry: Mapping[str, Any] | None) -> int:
    if text is None:
        return int(Kind.UNUSED)
    if entry is None:
        return int(Kind.NORMAL)
    return int(Kind.CONTROL if entry.get("special") else Kind.USER_DEFINED)


def _wordpiece(
    described: dict[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> Iterator[Entry]:
    prefix = described["model"].get("continuing_subword_prefix", "##")
    spelled = [
        text
        if kind == Kind.CONTROL
        else text.removeprefix(prefix)
        if text.startswith(prefix)
        else WORD_START + text
        for text, kind in zip(tokens, kinds, strict=True)
    ]
    normalizer = described.get("normalizer") or {}
    lowercase = bool(normalizer.get("lowercase", True))
    yield f"{KEY}model", "str", "bert"
    yield f"{KEY}pre", "str", "jina-v2-en"
    yield f"{KEY}tokens", "[str]", spelled
    yield f"{KEY}token_type", "[i32]", list(kinds)
    yield f"{KEY}normalizer.lowercase", "bool", lowercase
    if normalizer.get("strip_accents") is not None:
        yield f"{KEY}normalizer.strip_accents", "bool", bool(normalizer["strip_accents"])


def _byte_level(
    described: dict[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> Iterator[Entry]:
    cuts = tuple(_cuts(described.get("pre_tokenizer") or {}))
    if cuts not in CUTS:
        raise TokenizerError(
            f"tokenizer.json: words cut by {list(cuts)}, which has no name in GGUF"
        )
    merges = described["model"].get("merges", [])
    yield f"{KEY}model", "str", "gpt2"
    yield f"{KEY}pre", "str", CUTS[cuts]
    yield f"{KEY}tokens", "[str]", list(tokens)
    yield f"{KEY}token_type", "[i32]", list(kinds)
    yield f"{KEY}merges", "[str]", [m if isinstance(m, str) else " ".join(m) for m in merges]


def _cuts(pre: Mapping[str, Any]) -> Iterator[str]:
    kind = pre.get("type")
    if kind == "Sequence":
        for part in pre["pretokenizers"]:
            yield from _cuts(part)
    elif kind == "Split":
        yield str(pre["pattern"].get("Regex", pre["pattern"]))
    elif kind == "Digits":
        yield "digits" if pre.get("individual_digits") else "runs of digits"
    elif kind == "ByteLevel":
        if pre.get("use_regex", True):
            yield "gpt-2"
    else:
        yield str(kind)


def _special(described: dict[str, Any], settings: dict[str, Any]) -> Iterator[Entry]:
    """Ids of special tokens, and which of them stand around a text."""
    ids = dict(described["model"]["vocab"])
    ids |= {entry["content"]: entry["id"] for entry in described.get("added_tokens", [])}
    before, after, between = _around(described.get("post_processor") or {})
    first = before or settings.get("bos_token")
    last = after or settings.get("eos_token")
    for name, text in (("bos", first), ("eos", last)):
        if (id_ := ids.get(_text(text))) is not None:
            yield f"{KEY}{name}_token_id", "u32", id_
    for setting, name in SPECIAL.items():
        if (id_ := ids.get(_text(settings.get(setting)))) is not None:
            yield f"{KEY}{name}_token_id", "u32", id_
    yield f"{KEY}add_bos_token", "bool", before is not None
    yield f"{KEY}add_eos_token", "bool", after is not None
    if before is not None and after is not None:
        yield f"{KEY}add_sep_token", "bool", between > 1


def _text(setting: Any) -> Any:
    return setting.get("content") if isinstance(setting, dict) else setting


def _around(post: Mapping[str, Any]) -> tuple[str | None, str | None, int]:
    """The special tokens before and after a text, and how many stand between two texts."""
    if post.get("type") == "Sequence":
        found = [_around(part) for part in post["processors"]]
        return max(found, key=lambda f: (f[0] is not None) + (f[1] is not None))
    if post.get("type") in ("BertProcessing", "RobertaProcessing"):
        roberta = post["type"] == "RobertaProcessing"
        return post["cls"][0], post["sep"][0], 2 if roberta else 1
    if post.get("type") != "TemplateProcessing":
        return None, None, 0
    single, pair = post["single"], post.get("pair", [])
    first, last = (part.get("SpecialToken", {}).get("id") for part in (single[0], single[-1]))
    places = [i for i, part in enumerate(pair) if "Sequence" in part]
    between = places[1] - places[0] - 1 if len(places) == 2 else 0
    return first, last, between


def _sentencepiece(folder: Path, settings: dict[str, Any], vocabulary: int) -> Iterator[Entry]:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    count = max(vocabulary, len(model))
    tokens = [f"[PAD{id_}]" for id_ in range(count)]
    scores, kinds = [-10000.0] * count, [int(Kind.UNUSED)] * count
    for id_ in range(len(model)):
        tokens[id_], scores[id_] = model.id_to_piece(id_), model.get_score(id_)
        kinds[id_] = int(_piece_kind(model, id_))
    for text, id_, special in _added(folder, settings):
        if id_ < count:
            tokens[id_], scores[id_] = text, -1000.0
            kinds[id_] = int(Kind.CONTROL if special else Kind.USER_DEFINED)
    yield f"{KEY}model", "str", "llama"
    yield f"{KEY}pre", "str", "default"
    yield f"{KEY}tokens", "[str]", tokens
    yield f"{KEY}scores", "[f32]", scores
    yield f"{KEY}token_type", "[i32]", kinds
    named = {"bos": model.bos_id(), "eos": model.eos_id(), "unknown": model.unk_id()}
    for name, id_ in (named | {"padding": model.pad_id()}).items():
        if id_ >= 0:
            yield f"{KEY}{name}_token_id", "u32", id_
    yield f"{KEY}add_bos_token", "bool", bool(settings.get("add_bos_token", True))
    yield f"{KEY}add_eos_token", "bool", bool(settings.get("add_eos_token", False))


def _piece_kind(model: Any, id_: int) -> Kind:
    if model.is_unknown(id_):
        return Kind.UNKNOWN
    if model.is_control(id_):
        return Kind.CONTROL
    if model.is_unused(id_):
        return Kind.UNUSED
    return Kind.BYTE if model.is_byte(id_) else Kind.NORMAL


def _added(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[str, int, bool]]:
    for id_, entry in (settings.get("added_tokens_decoder") or {}).items():
        yield entry["content"], int(id_), bool(entry.get("special"))
