"""A checkpoint's tokenizer files -> the `tokenizer.ggml.*` keys that a GGUF file has in their
place.

    tokenizer.model    SentencePiece with scores
    tokenizer.json     WordPiece and byte-level BPE, as the `tokenizers` library saves them

Kinds of token, names of pre-tokenizers and U+2581 before a word's first WordPiece follow
llama.cpp's converter (conversion/base.py, conversion/bert.py), which however tells pre-tokenizers
by what they make of a text with one vocabulary; here it is how they cut words.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .errors import TokenizerError
from .special_tokens import Kind
from .tokenizer_specials import Entry, normalizer_entries, special_entries
from .vocabulary import KEY

WORD_START: Final = "\u2581"
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
# Tokens that are control tokens even where a checkpoint calls them ordinary.
LOOK_SPECIAL: Final = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
LOOK_SPECIAL_ENDS: Final = (("<|", "|>"), ("<\uff5c", "\uff5c>"), ("<unused", ">"))
# Code Llama's fill-in-the-middle end, SmolLM's and Granite's beginning, told by vocabulary size.
BY_SIZE: Final[Mapping[int, Entry]] = {
    32016: (f"{KEY}eot_token_id", "u32", 32010),
    49152: (f"{KEY}add_bos_token", "bool", False),
}


def tokenizer_entries(
    folder: Path,
    vocabulary: int,
    config: Mapping[str, Any] | None = None,
    more: Sequence[Entry] = (),
) -> Iterator[Entry]:
    """The keys of a checkpoint's tokenizer; ids up to `vocabulary` that it lacks are unused tokens.

    `config` is config.json, `more` what the family adds. Raises TokenizerError that says what is
    missing or not known.
    """
    try:
        found = {entry[0]: entry for entry in _entries(folder, vocabulary, config or {})}
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, TokenizerError):
            raise
        raise TokenizerError(f"tokenizer files: not as they should be ({error!r})") from error
    yield from (found | {entry[0]: entry for entry in more}).values()


def _entries(folder: Path, vocabulary: int, config: Mapping[str, Any]) -> Iterator[Entry]:
    settings = _optional(folder / "tokenizer_config.json")
    if (folder / "tokenizer.model").is_file():
        yield from _sentencepiece(folder, settings, vocabulary)
        described = _optional(folder / "tokenizer.json")
        config = _with_own(folder, config)
    else:
        described = read_json(folder / "tokenizer.json")
        yield from _described(described, vocabulary)
    yield from normalizer_entries(described.get("normalizer"))
    yield from special_entries(described, settings, config, vocabulary)
    if isinstance(prefix := settings.get("add_prefix_space"), bool):
        yield f"{KEY}add_space_prefix", "bool", prefix
    if vocabulary in BY_SIZE:
        yield BY_SIZE[vocabulary]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file. Raises TokenizerError that names the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{path.name}: cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise TokenizerError(f"{path.name}: found {type(found).__name__}, expected an object")
    return found


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


# --- tokenizer.json -------------------------------------------------------------------------------


def _described(described: dict[str, Any], vocabulary: int) -> Iterator[Entry]:
    model = described.get("model") or {}
    kind = model.get("type")
    if kind not in ("WordPiece", "BPE"):
        raise TokenizerError(f"tokenizer.json: model {kind!r}, expected WordPiece or BPE")
    if kind == "BPE" and model.get("byte_fallback"):
        raise TokenizerError("tokenizer.json: SentencePiece, expected tokenizer.model beside it")
    tokens, kinds = _tokens(described, vocabulary)
    if kind == "WordPiece":
        yield from _wordpiece(model, tokens, kinds)
    else:
        yield from _byte_level(described, tokens, kinds)


def _tokens(described: dict[str, Any], vocabulary: int) -> tuple[list[str], list[int]]:
    added = {entry["content"]: entry for entry in described.get("added_tokens") or ()}
    ids = described["model"]["vocab"] | {text: entry["id"] for text, entry in added.items()}
    tokens = [f"[PAD{id_}]" for id_ in range(vocabulary)]
    kinds = [int(Kind.UNUSED)] * vocabulary
    for text, id_ in ids.items():
        if not 0 <= id_ < vocabulary:
            raise TokenizerError(
                f"tokenizer.json: token {text!r} has id {id_}, expected less than {vocabulary}"
            )
        tokens[id_], kinds[id_] = _spelled(text, added.get(text))
    return tokens, kinds


def _spelled(text: Any, entry: Mapping[str, Any] | None) -> tuple[str, int]:
    """A token as a GGUF file has it, and its kind; `entry` describes one that was added."""
    if not isinstance(text, str):
        raise TokenizerError(f"tokenizer files: added token {text!r}, expected a text")
    if entry is None:
        return text, int(Kind.NORMAL)
    if entry.get("special") or _looks_special(text):
        return text, int(Kind.CONTROL)
    return text.replace(WORD_START, " "), int(Kind.USER_DEFINED)


def _looks_special(text: str) -> bool:
    around = any(text.startswith(a) and text.endswith(b) for a, b in LOOK_SPECIAL_ENDS)
    return around or text in LOOK_SPECIAL


def _wordpiece(
    model: dict[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> Iterator[Entry]:
    prefix = model.get("continuing_subword_prefix", "##")
    spelled = [
        text
        if kind == Kind.CONTROL
        else text.removeprefix(prefix)
        if text.startswith(prefix)
        else WORD_START + text
        for text, kind in zip(tokens, kinds, strict=True)
    ]
    yield f"{KEY}model", "str", "bert"
    yield f"{KEY}pre", "str", "jina-v2-en"
    yield f"{KEY}tokens", "[str]", spelled
    yield f"{KEY}token_type", "[i32]", list(kinds)


def _byte_level(
    described: dict[str, Any], tokens: Sequence[str], kinds: Sequence[int]
) -> Iterator[Entry]:
    cuts = tuple(_cuts(described.get("pre_tokenizer") or {}))
    if cuts not in CUTS:
        raise TokenizerError(
            f"tokenizer.json: words cut by {list(cuts)}, which has no name in GGUF"
        )
    yield f"{KEY}model", "str", "gpt2"
    yield f"{KEY}pre", "str", CUTS[cuts]
    yield f"{KEY}tokens", "[str]", list(tokens)
    yield f"{KEY}token_type", "[i32]", list(kinds)
    if merges := [_merge(merge) for merge in described["model"].get("merges") or ()]:
        yield f"{KEY}merges", "[str]", merges


def _merge(merge: str | list[str]) -> str:
    """Two parts with a space between; one inside a part is written as bytes are, U+0120."""
    return merge if isinstance(merge, str) else " ".join(p.replace(" ", "\u0120") for p in merge)


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


# --- tokenizer.model ------------------------------------------------------------------------------


def _model(folder: Path) -> Any:
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    except (OSError, RuntimeError) as error:
        raise TokenizerError(f"tokenizer.model: cannot be read ({error})") from error


def _sentencepiece(folder: Path, settings: dict[str, Any], vocabulary: int) -> Iterator[Entry]:
    """Ids from `vocabulary` on have no row in the checkpoint, and are left out."""
    model = _model(folder)
    tokens = [f"[PAD{id_}]" for id_ in range(vocabulary)]
    scores, kinds = [-10000.0] * vocabulary, [int(Kind.UNUSED)] * vocabulary
    for id_ in range(min(vocabulary, len(model))):
        tokens[id_], scores[id_] = model.id_to_piece(id_), model.get_score(id_)
        kinds[id_] = int(_piece_kind(model, id_))
    for id_, text, kind in _added(folder, settings):
        if 0 <= id_ < vocabulary:
            tokens[id_], scores[id_], kinds[id_] = text, -1000.0, kind
    yield f"{KEY}model", "str", "llama"
    yield f"{KEY}pre", "str", "default"
    yield f"{KEY}tokens", "[str]", tokens
    yield f"{KEY}scores", "[f32]", scores
    yield f"{KEY}token_type", "[i32]", kinds


def _piece_kind(model: Any, id_: int) -> Kind:
    if model.is_unknown(id_):
        return Kind.UNKNOWN
    if model.is_control(id_):
        return Kind.CONTROL
    if model.is_unused(id_):
        return Kind.UNUSED
    return Kind.BYTE if model.is_byte(id_) else Kind.NORMAL


def _added(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[int, str, int]]:
    for text, id_ in _optional(folder / "added_tokens.json").items():
        yield int(id_), text, int(Kind.USER_DEFINED)
    for id_, entry in (settings.get("added_tokens_decoder") or {}).items():
        yield int(id_), *_spelled(entry["content"], entry)


def _with_own(folder: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration, with the file's own beginning and end where it has none."""
    model = _model(folder)
    own = {"bos_token_id": model.bos_id(), "eos_token_id": model.eos_id()}
    return own | {key: value for key, value in config.items() if value is not None}
