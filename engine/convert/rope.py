"""Rotary angles of a configuration as metadata, and Llama 3's table of factors.

    wave = 2 pi base^(i / dim)         positions that a turn takes
    factor(wave) = 1                   where it takes less than context / high
                   scale               where it takes more than context / low
                   1 / ((1 - s) / scale + s), s = (context / wave - low) / (high - low)   between

Keys follow llama.cpp's converter (conversion/base.py), the table conversion/llama.py: float32 step
by step as PyTorch takes them, where dividing a number is multiplying by what is inverse. PyTorch's
power is off by a last bit at times; ours is the nearest, which is the same for the bases and
dimensions of the Llama models that exist.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...formats.tokenizer_specials import Entry
from ..archs.checkpoints import Checkpoint
from ..errors import ModelLoadError
from .folder import MOST_F32, positive

F32 = NDArray[np.float32]
ASSUMED_BASE = 10000.0  # where a file does not say it
MOST_CONTEXT = 1 << 31
MOST_DIM = 1 << 16
_CONTEXT = "original_max_position_embeddings"
YARN = (
    (("extrapolation_factor",), "yarn_ext_factor"),
    (("attention_factor", "attn_factor"), "yarn_attn_factor"),
    (("beta_fast",), "yarn_beta_fast"),
    (("beta_slow",), "yarn_beta_slow"),
)


def rope_entries(family: Checkpoint, config: dict[str, Any]) -> Iterator[Entry]:
    """`{arch}.rope.*`, without the number of dimensions that turn."""
    rope = scaling(family, config)
    prefix = f"{family.arch}.rope."
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        yield f"{prefix}scaling.type", "str", kind
        yield f"{prefix}scaling.factor", "f32", _number(rope, "factor")
    if kind == "yarn":
        yield f"{prefix}scaling.original_context_length", "u32", int(_number(rope, _CONTEXT))
        for names, key in YARN:
            if name := next((name for name in names if rope.get(name) is not None), None):
                yield f"{prefix}scaling.{key}", "f32", _number(rope, name)
    base = rope.get("rope_theta")
    if base is not None and (family.says_base or base != ASSUMED_BASE):
        yield f"{prefix}freq_base", "f32", _number(rope, "rope_theta")
    if family.local_base:
        yield f"{prefix}freq_base_swa", "f32", _local_base(config)


def scaling(family: Checkpoint, config: dict[str, Any]) -> dict[str, Any]:
    """How the layers that see everything turn. Raises ModelLoadError for what is not converted.

    Angles that grow with the text ("dynamic") are plain ones up to the context that a file states.
    """
    said = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = said.get("full_attention", said) if isinstance(said, dict) else None
    if not isinstance(rope, dict):
        raise ModelLoadError(f"config.json: rotary scaling {said!r}, expected an object")
    kind = str(rope.get("rope_type", rope.get("type", "default"))).lower()
    if kind not in ("default", "linear", "yarn", "dynamic") and not (
        kind == "llama3" and family.rope_factors
    ):
        raise ModelLoadError(f"config.json: rotary scaling {rope}, which is not converted")
    if (rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1) != 1:
        raise ModelLoadError("config.json: partial_rotary_factor, expected 1 in this family")
    unsaid = {
        "rope_theta": config.get("rope_theta"),
        _CONTEXT: config.get(_CONTEXT, config.get("max_position_embeddings")),
    }
    return unsaid | {k: v for k, v in rope.items() if v is not None} | {"rope_type": kind}


def _local_base(config: dict[str, Any]) -> float:
    said = (config.get("rope_parameters") or {}).get("sliding_attention")
    if isinstance(said, dict) and said.get("rope_theta") is not None:
        return _number(said, "rope_theta")
    return _number(config, "rope_local_base_freq")


def _number(rope: dict[str, Any], name: str) -> float:
    value: Any = rope.get(name)
    most = MOST_CONTEXT if name == _CONTEXT else MOST_F32
    if type(value) not in (int, float) or not 0 < value <= most:
        raise ModelLoadError(
            f"config.json: rotary {name} {value!r}, expected a number above 0, up to {most:g}"
        )
    return float(value)


def rope_factors(family: Checkpoint, config: dict[str, Any]) -> F32 | None:
    """What each frequency is divided by (float32[dim / 2]), None if the family's are not."""
    rope = scaling(family, config)
    if rope["rope_type"] != "llama3":
        return None
    unsaid = {"rope_theta": ASSUMED_BASE, "factor": 8.0, "low_freq_factor": 1.0}
    rope = unsaid | {"high_freq_factor": 4.0} | rope
    names = ("factor", "low_freq_factor", "high_freq_factor", _CONTEXT)
    scale, low, high, context = (_number(rope, name) for name in names)
    if low == high:
        raise ModelLoadError(f"config.json: rotary scaling {rope}, expected two borders")
    dim = positive(config, "head_dim")
    if dim > MOST_DIM:
        raise ModelLoadError(f"config.json: head_dim {dim}, expected up to {MOST_DIM}")
    waves = _waves(_number(rope, "rope_theta"), dim)
    one = np.float32(1)
    share = (one / waves * np.float32(context) - np.float32(low)) / np.float32(high - low)
    between = one / ((one - share) / np.float32(scale) + share)
    slow = np.where(waves > np.float32(context / low), np.float32(scale), between)
    return np.where(waves < np.float32(context / high), one, slow).astype(np.float32)


def _waves(base: float, dim: int) -> F32:
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    powers = np.power(np.float64(np.float32(base)), exponents.astype(np.float64))
    one = np.float32(1)
    waves: F32 = one / (one / powers.astype(np.float32)) * np.float32(2 * math.pi)
    return waves
