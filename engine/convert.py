"""Convert a Hugging Face folder (safetensors, config.json, tokenizer files) to a GGUF file, tensor
by tensor.

    convert(Path("all-MiniLM-L6-v2"), Path("all-minilm.gguf"), "q8_0")

Names and numbers come from `archs/checkpoints.py`. Weights take the type asked for; vectors,
positions and kinds of token stay F32, rows that no block divides become F16, and in files of 4 and
5 bits the matrix that makes the logits has 8. The file appears under its name once it is whole.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import SafetensorsError, TokenizerError
from ..formats.safetensors import SafeTensor, open_safetensors
from ..formats.tokenizer_files import Entry, tokenizer_entries
from .archs.checkpoints import CHECKPOINTS, Change, Checkpoint
from .errors import LMStudioValueError, ModelLoadError
from .pooling import Pooling

# The name of a type -> its number in `general.file_type` (llama.cpp's LLAMA_FTYPE).
FILE_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "bf16": 32,
}  # fmt: skip
FEW_BITS = ("q4_0", "q4_1", "q5_0", "q5_1")
KEEP_F32 = ("position_embd.weight", "token_types.weight")
AT_ONCE = 1 << 24  # numbers that are float32 at a time
POOLINGS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST,
}
Report = Callable[[float], Any]


@dataclass(frozen=True)
class Plan:
    """One tensor: its GGUF name and type, where it comes from, what becomes of it."""

    name: str
    source: SafeTensor
    type: str
    change: Change | None
    heads: int


def convert(
    folder: Path, target: Path, file_type: str = "f16", name: str = "", report: Report | None = None
) -> None:
    """Write `target`, telling the share done. Raises ModelLoadError, LMStudioValueError."""
    if file_type not in FILE_TYPES:
        raise LMStudioValueError(
            f"file type {file_type!r}, expected one of {', '.join(FILE_TYPES)}"
        )
    try:
        _convert(folder, target, file_type, name or folder.name, report or (lambda share: None))
    except (SafetensorsError, TokenizerError) as error:
        raise ModelLoadError(f"{folder.name} cannot be converted: {error}") from error


def _convert(folder: Path, target: Path, file_type: str, name: str, report: Report) -> None:
    from gguf import GGMLQuantizationType, GGUFWriter

    config = _json(folder / "config.json")
    family = _family(config)
    plans = _plans(family, config, _tensors(folder), file_type)
    unfinished = target.with_name(f".{target.name}.unfinished")
    writer = GGUFWriter(unfinished, family.arch)
    try:
        for key, kind, value in _entries(folder, family, config, file_type, name):
            _add(writer, key, kind, value)
        for plan in plans:
            type_ = GGMLQuantizationType[plan.type.upper()]
            shape, number = plan.source.shape, np.dtype(np.float32)
            writer.add_tensor_info(plan.name, shape, number, _bytes(plan), type_)
        _write(writer, plans, report)
        os.replace(unfinished, target)
    finally:
        writer.close()
        unfinished.unlink(missing_ok=True)


def _write(writer: Any, plans: list[Plan], report: Report) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    total, done = sum(map(_bytes, plans)), 0
    for plan in plans:
        writer.write_tensor_data(_encoded(plan))
        done += _bytes(plan)
        report(done / total)
    writer.close()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ModelLoadError(f"{path}: found {type(found).__name__}, expected an object")
    return found


def _family(config: dict[str, Any]) -> Checkpoint:
    named = config.get("architectures") or [None]
    family = CHECKPOINTS.get(named[0])
    if family is None:
        raise ModelLoadError(
            f"config.json: architecture {named[0]!r}, expected one of {', '.join(CHECKPOINTS)}"
        )
    return family


def _tensors(folder: Path) -> dict[str, SafeTensor]:
    """All tensors of a folder; of several files the index says which."""
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        names = sorted(set(_json(index).get("weight_map", {}).values()))
    found: dict[str, SafeTensor] = {}
    for name in names:
        if Path(name).name != name:
            raise SafetensorsError(f"{index.name}: {name!r}, expected a file of the folder")
        found |= open_safetensors(folder / name)
    return found


# --- tensors --------------------------------------------------------------------------------------


def _plans(
    family: Checkpoint, config: dict[str, Any], tensors: dict[str, SafeTensor], file_type: str
) -> list[Plan]:
    tied = bool(config.get("tie_word_embeddings"))
    plans, unknown = [], []
    for name, source in tensors.items():
        bare = name
        for prefix in family.prefixes:
            bare = bare.removeprefix(prefix)
        skipped = any(bare.startswith(part) or bare.endswith(part) for part in family.skipped)
        if skipped or (tied and bare == "lm_head.weight"):
            continue
        renamed = _renamed(family, bare)
        if renamed is None:
            unknown.append(name)
        else:
            plans.append(_plan(family, config, renamed, source, file_type))
    if unknown:
        raise SafetensorsError(f"tensors that this family does not have: {', '.join(unknown[:8])}")
    last = {plan.name for plan in plans}
    logits = "output.weight" if "output.weight" in last else "token_embd.weight"
    return [_with_logits(plan, logits, file_type) for plan in plans]


def _renamed(family: Checkpoint, name: str) -> str | None:
    """The GGUF name of a tensor, None if the family has no such tensor."""
    before, after = family.layer.split("{}")
    stem, _, suffix = name.rpartition(".")
    suffix = {"gamma": "weight", "beta": "bias"}.get(suffix, suffix)
    found = re.fullmatch(f"{re.escape(before)}(\\d+){re.escape(after)}(.+)", stem)
    place, stem = (f"blk.{int(found[1])}.", found[2]) if found else ("", stem)
    new = family.stems.get(stem)
    return None if new is None or suffix not in ("weight", "bias") else f"{place}{new}.{suffix}"


def _plan(
    family: Checkpoint, config: dict[str, Any], name: str, source: SafeTensor, file_type: str
) -> Plan:
    stem = name.split(".")[-2]
    heads = config.get("num_attention_heads", 1)
    if stem == "attn_k":
        heads = config.get("num_key_value_heads") or heads
    type_ = file_type
    if len(source.shape) < 2 or name in KEEP_F32:
        type_ = "f32"
    elif source.shape[-1] % 32 and file_type not in ("f32", "f16", "bf16"):
        type_ = "f16"
    return Plan(name, source, type_, family.changes.get(stem), heads)


def _with_logits(plan: Plan, logits: str, file_type: str) -> Plan:
    more = file_type in FEW_BITS and plan.name == logits and plan.type == file_type
    return Plan(plan.name, plan.source, "q8_0", plan.change, plan.heads) if more else plan


def _bytes(plan: Plan) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[plan.type.upper()]]
    return math.prod(plan.source.shape) // elements * size


def _encoded(plan: Plan) -> NDArray[Any]:
    """The tensor's bytes as they stand in the file."""
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    kind = GGMLQuantizationType[plan.type.upper()]
    shape = plan.source.shape
    if len(shape) < 2 or plan.change is Change.PAIRS:
        parts: Iterator[NDArray[np.float32]] = iter([_changed(plan, plan.source.float32())])
    else:
        step = max(1, AT_ONCE // math.prod(shape[1:]))
        starts = range(0, shape[0], step)
        parts = (_changed(plan, plan.source.float32(i, i + step)) for i in starts)
    out = np.empty(_bytes(plan), np.uint8)
    end = 0
    for part in parts:
        data = np.ascontiguousarray(quantize(part, kind)).reshape(-1).view(np.uint8)
        out[end : end + len(data)] = data
        end += len(data)
    return out


def _changed(plan: Plan, x: NDArray[np.float32]) -> NDArray[np.float32]:
    if plan.change is Change.PLUS_ONE:
        return x + np.float32(1)
    if plan.change is Change.PAIRS:
        halves = x.reshape(plan.heads, 2, -1, *x.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(x.shape)
    return x


# --- metadata -------------------------------------------------------------------------------------


def _entries(
    folder: Path, family: Checkpoint, config: dict[str, Any], file_type: str, name: str
) -> Iterator[Entry]:
    yield "general.type", "str", "model"
    yield "general.name", "str", name
    yield "general.file_type", "u32", FILE_TYPES[file_type]
    yield "general.quantization_version", "u32", 2
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise ModelLoadError(f"config.json: rotary scaling {rope}, which is not converted yet")
    flat = {"rope_theta": rope.get("rope_theta"), **config}
    for key, kind, source in family.numbers:
        if flat.get(source) is not None:
            yield f"{family.arch}.{key}", kind, flat[source]
    if family.encodes:
        yield f"{family.arch}.attention.causal", "bool", False
        yield from _encoder_entries(folder, family, config)
    yield from tokenizer_entries(folder, int(config.get("vocab_size", 0)))


def _encoder_entries(folder: Path, family: Checkpoint, config: dict[str, Any]) -> Iterator[Entry]:
    labels = config.get("id2label") or {}
    classifies = str(config["architectures"][0]).endswith("ForSequenceClassification")
    pooling = Pooling.RANK if classifies else _pooling(folder)
    if pooling is not None:
        yield f"{family.arch}.pooling_type", "u32", int(pooling)
    if classifies and labels:
        names = [labels[key] for key in sorted(labels, key=int)]
        yield f"{family.arch}.classifier.output_labels", "[str]", names
    yield "tokenizer.ggml.token_type_count", "u32", int(config.get("type_vocab_size", 1))


def _pooling(folder: Path) -> Pooling | None:
    """What the folder's sentence-transformers module says."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return None
    said = _json(path)
    chosen = [pooling for key, pooling in POOLINGS.items() if said.get(key)]
    if len(chosen) != 1:
        raise ModelLoadError(f"{path}: found {said}, expected one of {', '.join(POOLINGS)}")
    return chosen[0]


def _add(writer: Any, key: str, kind: str, value: Any) -> None:
    from gguf import GGUFValueType

    names = {"u32": "UINT32", "f32": "FLOAT32", "bool": "BOOL", "str": "STRING", "i32": "INT32"}
    if kind.startswith("["):
        inner = GGUFValueType[names[kind.strip("[]")]]
        writer.add_key_value(key, value, GGUFValueType.ARRAY, inner)
    else:
        writer.add_key_value(key, value, GGUFValueType[names[kind]])
