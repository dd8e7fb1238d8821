"""Special tokens of a checkpoint as `tokenizer.ggml.*_token_id` and `add_*_token`.

Follows what llama.cpp's converter reads (gguf-py, SpecialVocab): a token's text is that of
tokenizer_config.json, its id that of tokenizer.json's added tokens, else config.json has the id;
the post-processor tells which tokens stand around a text, and the settings where it is silent.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .vocabulary import KEY

Entry = tuple[str, str, Any]  # key, type ("u32", "bool", "str", "[str]", "[i32]", "[f32]"), value
# A token's name in the settings -> in the key of its id.
NAMES: Final[Mapping[str, str]] = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",
    "pad": "padding",
    "mask": "mask",
    "eot": "eot",
    "eom": "eom",
}
ADDED: Final = ("bos", "eos", "sep")


def special_entries(
    described: Mapping[str, Any],
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    count: int,
) -> Iterator[Entry]:
    """The keys; `described` is tokenizer.json or empty, ids from `count` on are left out."""
    texts = {name: _text(settings.get(f"{name}_token")) for name in (*NAMES, "cls")}
    extra = {name: texts.pop(name) for name in ("eot", "eom")}
    adds: dict[str, bool] = {}
    if described:
        texts["bos"], texts["eos"] = texts["bos"] or texts["cls"], texts["eos"] or texts["sep"]
        for part in _processors(described):
            _read_processor(part, texts, adds)
    ids: dict[str, int] = {}
    for entry in described.get("added_tokens") or ():
        ids.setdefault(entry["content"], entry["id"])
    for name, key in NAMES.items():
        id_ = ids.get(texts.get(name) or "")
        if id_ is None and name not in extra:
            id_ = config.get(f"{name}_token_id")
        if type(id_) is int and 0 <= id_ < count:
            yield f"{KEY}{key}_token_id", "u32", id_
    for name in ADDED:
        said = adds.get(name, settings.get(f"add_{name}_token"))
        if isinstance(said, bool):
            yield f"{KEY}add_{name}_token", "bool", said


def normalizer_entries(normalizer: Mapping[str, Any] | None) -> Iterator[Entry]:
    """Whether texts are lower case and without accents, where tokenizer.json says it."""
    flags: dict[str, Any] = {}
    _read_normalizer(normalizer or {}, flags)
    for name in ("lowercase", "strip_accents"):
        if flags.get(name) is not None:
            yield f"{KEY}normalizer.{name}", "bool", bool(flags[name])


def _read_normalizer(normalizer: Mapping[str, Any], flags: dict[str, Any]) -> None:
    kind = normalizer.get("type")
    if kind == "Sequence":
        for part in normalizer.get("normalizers") or ():
            _read_normalizer(part, flags)
    elif kind == "BertNormalizer":
        flags |= {name: normalizer.get(name) for name in ("lowercase", "strip_accents")}
    elif kind in ("Lowercase", "StripAccents"):
        flags["lowercase" if kind == "Lowercase" else "strip_accents"] = True


def _text(setting: Any) -> str | None:
    text = setting.get("content") if isinstance(setting, dict) else setting
    return text if isinstance(text, str) else None


def _processors(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    post = described.get("post_processor") or {}
    return list(post.get("processors", [post]))


def _read_processor(
    part: Mapping[str, Any], texts: dict[str, str | None], adds: dict[str, bool]
) -> None:
    kind = part.get("type")
    if kind == "ByteLevel":
        adds.setdefault("bos", False)
        adds.setdefault("eos", False)
    elif kind == "RobertaProcessing":
        adds |= dict.fromkeys(ADDED, True)
        texts["cls"] = texts["cls"] or part["cls"][0]
        texts["sep"] = texts["sep"] or part["sep"][0]
    elif kind == "TemplateProcessing":
        _read_template(part, texts, adds)


def _read_template(
    part: Mapping[str, Any], texts: dict[str, str | None], adds: dict[str, bool]
) -> None:
    single = part.get("single") or []
    first = last = None
    if len(single) > 1:
        first, last = _special(single[0]), _special(single[-1])
    if first:
        texts["bos"] = texts["bos"] or first
        texts["cls"] = texts["cls"] or first
        adds["bos"] = first in (texts["bos"], texts["cls"])
    if last:
        if last != texts["eos"]:
            free = next((name for name in ("eot", "eom") if not texts.get(name)), None)
            if free:
                texts[free] = texts["eos"]
            texts["eos"] = last
        adds["eos"] = True
    between = _between(part.get("pair") or [], first, last)
    if not between:
        return
    ends = (texts["sep"], texts["eos"])
    sole = _special(between[0]) in ends and not last
    double = len(between) == 2 and _special(between[1]) in ends
    adds["sep"] = sole or double
    if adds["sep"] and not texts["sep"]:
        texts["sep"] = texts["eos"]


def _special(piece: Mapping[str, Any]) -> str | None:
    return _text((piece.get("SpecialToken") or {}).get("id"))


def _between(
    pair: list[Mapping[str, Any]], first: str | None, last: str | None
) -> list[Mapping[str, Any]]:
    """What stands between two texts."""
    inner = list(pair)
    if inner and first and _special(inner[0]) == first:
        inner = inner[1:]
    if inner and last and _special(inner[-1]) == last:
        inner = inner[:-1]
    if not inner or [(inner[i].get("Sequence") or {}).get("id") for i in (0, -1)] != ["A", "B"]:
        return []
    return inner[1:-1]
