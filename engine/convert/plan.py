"""What becomes of a folder's tensors: new names, types, and changes; all of them, and no others.

Weights take the type asked for; vectors, positions and kinds of token stay F32, rows that no block
divides become F16, as llama.cpp's converter has it. It writes no files of 4 and 5 bits: those
follow llama-quantize, which gives the matrix that makes the logits more bits (Q6_K, here Q8_0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ...formats.errors import SafetensorsError
from ...formats.safetensors import SafeTensor
from ..archs.checkpoints import Change, Checkpoint
from .folder import positive
from .rope import rope_factors

# The name of a type -> its number in `general.file_type` (llama.cpp's LLAMA_FTYPE).
FILE_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "bf16": 32,
}  # fmt: skip
FLOATS = ("f32", "f16", "bf16")
FEW_BITS = ("q4_0", "q4_1", "q5_0", "q5_1")
KEEP_F32 = ("position_embd.weight", "token_types.weight")
SHOWN = 8  # names in an error


@dataclass(frozen=True)
class Plan:
    """One tensor: its GGUF name and type, where it comes from, what becomes of it."""

    name: str
    source: SafeTensor
    type: str
    change: Change | None = None
    heads: int = 1


def plan_tensors(
    family: Checkpoint, config: dict[str, Any], tensors: dict[str, SafeTensor], file_type: str
) -> list[Plan]:
    """The file's tensors in order. Raises SafetensorsError, ModelLoadError."""
    plans, unknown = [], []
    for name, source in tensors.items():
        bare = name
        for prefix in family.prefixes:
            bare = bare.removeprefix(prefix)
        if _skipped(family, config, bare):
            continue
        renamed = _renamed(family, positive(config, "num_hidden_layers"), bare)
        if renamed is None:
            unknown.append(name)
        else:
            plans.append(_plan(family, config, renamed, (name, source), file_type))
    if unknown:
        named = ", ".join(unknown[:SHOWN])
        raise SafetensorsError(f"tensors that this family and size does not have: {named}")
    _check_complete(family, config, {plan.name for plan in plans})
    if (factors := rope_factors(family, config)) is not None:
        table = SafeTensor("F32", factors.shape, factors)
        plans.insert(0, Plan("rope_freqs.weight", table, "f32"))
    return [_with_logits(plan, plans, file_type) for plan in plans]


def _skipped(family: Checkpoint, config: dict[str, Any], bare: str) -> bool:
    if any(bare.startswith(part) or bare.endswith(part) for part in family.skipped):
        return True
    return bool(config.get("tie_word_embeddings")) and bare == "lm_head.weight"


def _renamed(family: Checkpoint, layers: int, bare: str) -> str | None:
    """The GGUF name of a tensor, None if the family has no such tensor."""
    before, after = family.layer.split("{}")
    stem, _, suffix = bare.rpartition(".")
    suffix = {"gamma": "weight", "beta": "bias"}.get(suffix, suffix)
    if suffix not in ("weight", "bias"):
        return None
    found = re.fullmatch(f"{re.escape(before)}(\\d{{1,9}}){re.escape(after)}(.+)", stem, re.ASCII)
    if found is None:
        new = family.stems.get(stem)
        return new and f"{new}.{suffix}"
    new = family.layer_stems.get(found[2]) if int(found[1]) < layers else None
    return new and f"blk.{int(found[1])}.{new}.{suffix}"


def _check_complete(family: Checkpoint, config: dict[str, Any], names: set[str]) -> None:
    """Every tensor that the family must have is there, and what one layer has, all have."""
    optional = (*family.optional, *(("lm_head",) if config.get("tie_word_embeddings") else ()))
    needed = {f"{new}.weight": old for old, new in family.stems.items() if old not in optional}
    layers = range(positive(config, "num_hidden_layers"))
    for old, new in family.layer_stems.items():
        biased = any(f"blk.{i}.{new}.bias" in names for i in layers)
        for i in layers:
            place = family.layer.format(i) + old
            needed |= {f"blk.{i}.{new}.weight": place}
            needed |= {f"blk.{i}.{new}.bias": place} if biased else {}
    missing = [f"{old}.{new.rpartition('.')[2]}" for new, old in needed.items() if new not in names]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise SafetensorsError(f"no tensors {', '.join(missing[:SHOWN])}{more}")


def _plan(
    family: Checkpoint,
    config: dict[str, Any],
    name: str,
    source: tuple[str, SafeTensor],
    file_type: str,
) -> Plan:
    old, tensor = source
    if not tensor.dtype.startswith(("F", "BF")):
        raise SafetensorsError(f"{old}: dtype {tensor.dtype}, expected F32, F16, BF16 or F64")
    stem = name.split(".")[-2]
    if name in ("token_embd.weight", "output.weight"):
        tensor = _vocabulary(family, config, old, tensor)
    heads = 1
    if stem in family.changes and family.changes[stem] is Change.PAIRS:
        heads = positive(config, f"num_{'key_value' if stem == 'attn_k' else 'attention'}_heads")
        if not tensor.shape or tensor.shape[0] % (2 * heads):
            raise SafetensorsError(f"{old}: shape {tensor.shape}, expected pairs of {heads} heads")
    type_ = file_type
    if len(tensor.shape) < 2 or name in KEEP_F32:
        type_ = "f32"
    elif tensor.shape[-1] % 32 and file_type not in FLOATS:
        type_ = "f16"
    return Plan(name, tensor, type_, family.changes.get(stem), heads)


def _vocabulary(
    family: Checkpoint, config: dict[str, Any], old: str, tensor: SafeTensor
) -> SafeTensor:
    """A matrix with a row for each token; a file's vocabulary has as many."""
    rows, width = positive(config, "vocab_size"), positive(config, "hidden_size")
    if family.cuts_rows and len(tensor.shape) == 2 and tensor.shape[0] > rows:
        tensor = SafeTensor(tensor.dtype, (rows, tensor.shape[1]), tensor.data[:rows])
    if tensor.shape != (rows, width):
        raise SafetensorsError(
            f"{old}: shape {list(tensor.shape)}, expected {[rows, width]}: "
            "config.json's vocab_size and hidden_size"
        )
    return tensor


def _with_logits(plan: Plan, plans: list[Plan], file_type: str) -> Plan:
    own = any(other.name == "output.weight" for other in plans)
    logits = "output.weight" if own else "token_embd.weight"
    more = file_type in FEW_BITS and plan.name == logits and plan.type == file_type
    return replace(plan, type="q8_0") if more else plan
