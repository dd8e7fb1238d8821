"""A folder's configuration, pooling, sampling and tokenizer as the file's metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...formats.template_files import template_entries
from ...formats.tokenizer_files import tokenizer_entries
from ...formats.tokenizer_specials import Entry
from ..archs.checkpoints import Checkpoint
from ..errors import ModelLoadError
from ..pooling import Pooling
from .folder import MOST_F32, positive, read_json
from .plan import FILE_TYPES
from .rope import rope_entries

POOLINGS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST,
}
# sentence-transformers' modules that a file can say, or that embed() does itself.
MODULES = ("Transformer", "Pooling", "Normalize")
MODES = {"mean": Pooling.MEAN, "cls": Pooling.CLS, "lasttoken": Pooling.LAST}
# generation_config.json's keys, the first that is there -> general.sampling.<name>.
SAMPLING = (
    (("sequence",), "sequence", "str"),
    (("top_k",), "top_k", "i32"),
    (("top_p",), "top_p", "f32"),
    (("min_p",), "min_p", "f32"),
    (("xtc_probability",), "xtc_probability", "f32"),
    (("xtc_threshold",), "xtc_threshold", "f32"),
    (("temperature",), "temp", "f32"),
    (("penalty_last_n",), "penalty_last_n", "i32"),
    (("penalty_repeat", "repetition_penalty"), "penalty_repeat", "f32"),
    (("mirostat",), "mirostat", "i32"),
    (("mirostat_tau",), "mirostat_tau", "f32"),
    (("mirostat_eta",), "mirostat_eta", "f32"),
)
# A kind of number -> what it may be.
RANGES = {"u32": range(1 << 32), "i32": range(-(1 << 31), 1 << 31)}


def entries(
    folder: Path, family: Checkpoint, config: dict[str, Any], file_type: str, name: str
) -> Iterator[Entry]:
    """All metadata but `general.architecture`, in the file's order."""
    yield "general.type", "str", "model"
    yield "general.name", "str", name
    yield "general.file_type", "u32", FILE_TYPES[file_type]
    yield "general.quantization_version", "u32", 2
    yield from _sampling(folder / "generation_config.json")
    for key, kind, source in family.numbers:
        if config.get(source) is not None:
            value = _number(f"config.json: {source}", kind, config[source])
            yield f"{family.arch}.{key}", kind, value
    if family.encodes:
        yield f"{family.arch}.attention.causal", "bool", False
    else:
        yield from rope_entries(family, config)
    yield from _pooling_entries(folder, family, config)
    yield from tokenizer_entries(folder, positive(config, "vocab_size"), config, family.vocabulary)
    yield from template_entries(folder)


def _number(where: str, kind: str, value: Any) -> Any:
    if kind == "f32" and type(value) in (int, float) and abs(value) <= MOST_F32:
        return float(value)
    if kind in RANGES and type(value) is int and value in RANGES[kind]:
        return value
    if kind == "str" and isinstance(value, str):
        return value
    raise ModelLoadError(f"{where} {value!r}, expected a number ({kind})")


def _sampling(path: Path) -> Iterator[Entry]:
    """How the checkpoint's authors sample."""
    said = read_json(path) if path.is_file() else {}
    for names, key, kind in SAMPLING:
        value = next((said[name] for name in names if name in said), None)
        if value is not None:
            value = _number(f"{path.name}: {names[0]}", kind, value)
            yield f"general.sampling.{key}", kind, value


def _pooling_entries(folder: Path, family: Checkpoint, config: dict[str, Any]) -> Iterator[Entry]:
    classifies = str(config["architectures"][0]).endswith("ForSequenceClassification")
    pooling = Pooling.RANK if classifies else _pooling(folder)
    if pooling is not None:
        yield f"{family.arch}.pooling_type", "u32", int(pooling)
    labels = config.get("id2label")
    if classifies and isinstance(labels, dict) and labels:
        names = [str(labels[key]) for key in sorted(labels, key=_ordinal)]
        yield f"{family.arch}.classifier.output_labels", "[str]", names
    if family.encodes:
        count = config["type_vocab_size"]
        yield "tokenizer.ggml.token_type_count", "u32", _number("type_vocab_size", "u32", count)


def _check_modules(path: Path) -> None:
    """Refuse a folder whose vectors go through more than the file would hold."""
    for module in read_json(path, list) if path.is_file() else ():
        kind = module.get("type") if isinstance(module, dict) else module
        if not isinstance(kind, str) or kind.rpartition(".")[2] not in MODULES:
            raise ModelLoadError(f"{path}: module {kind!r}, expected one of {', '.join(MODULES)}")


def _ordinal(label: str) -> int:
    if not (label.isascii() and label.isdecimal() and len(label) < 10):
        raise ModelLoadError(f"config.json: id2label {label!r}, expected a number")
    return int(label)


def _pooling(folder: Path) -> Pooling | None:
    """What the folder's sentence-transformers modules say."""
    _check_modules(folder / "modules.json")
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return None
    said = read_json(path)
    chosen = [pooling for key, pooling in POOLINGS.items() if said.get(key)]
    chosen = chosen or [p for mode, p in MODES.items() if mode == said.get("pooling_mode")]
    if len(chosen) != 1:
        raise ModelLoadError(f"{path}: found {said}, expected one of {', '.join(POOLINGS)}")
    return chosen[0]
