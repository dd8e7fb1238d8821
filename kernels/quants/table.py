"""All 35 tensor types as one table: dequantize(data, block, shape) -> F32[shape], block by block.

The work is done in chunks of `CHUNK` weights, so it needs little memory beside the result.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ...formats.ggml_types import Block
from . import (
    floats,
    integers,
    iq1_m,
    iq1_s,
    iq2_s,
    iq2_xs,
    iq2_xxs,
    iq3_s,
    iq3_xxs,
    iq4_nl,
    iq4_xs,
    mxfp4,
    nvfp4,
    q1_0,
    q2_0,
    q2_k,
    q3_k,
    q4_0,
    q4_1,
    q4_k,
    q5_0,
    q5_1,
    q5_k,
    q6_k,
    q8_0,
    q8_1,
    q8_k,
    tq1_0,
    tq2_0,
)
from .fields import F32, U8

CHUNK = 1 << 17

DEQUANTIZE_REF: dict[str, Callable[[U8], F32]] = {
    "f32": floats.f32_ref,
    "f16": floats.f16_ref,
    "bf16": floats.bf16_ref,
    "f64": floats.f64_ref,
    "i8": integers.i8_ref,
    "i16": integers.i16_ref,
    "i32": integers.i32_ref,
    "i64": integers.i64_ref,
    "q1_0": q1_0.dequantize_ref,
    "q2_0": q2_0.dequantize_ref,
    "q4_0": q4_0.dequantize_ref,
    "q4_1": q4_1.dequantize_ref,
    "q5_0": q5_0.dequantize_ref,
    "q5_1": q5_1.dequantize_ref,
    "q8_0": q8_0.dequantize_ref,
    "q8_1": q8_1.dequantize_ref,
    "q2_k": q2_k.dequantize_ref,
    "q3_k": q3_k.dequantize_ref,
    "q4_k": q4_k.dequantize_ref,
    "q5_k": q5_k.dequantize_ref,
    "q6_k": q6_k.dequantize_ref,
    "q8_k": q8_k.dequantize_ref,
    "iq1_s": iq1_s.dequantize_ref,
    "iq1_m": iq1_m.dequantize_ref,
    "iq2_xxs": iq2_xxs.dequantize_ref,
    "iq2_xs": iq2_xs.dequantize_ref,
    "iq2_s": iq2_s.dequantize_ref,
    "iq3_xxs": iq3_xxs.dequantize_ref,
    "iq3_s": iq3_s.dequantize_ref,
    "iq4_nl": iq4_nl.dequantize_ref,
    "iq4_xs": iq4_xs.dequantize_ref,
    "tq1_0": tq1_0.dequantize_ref,
    "tq2_0": tq2_0.dequantize_ref,
    "mxfp4": mxfp4.dequantize_ref,
    "nvfp4": nvfp4.dequantize_ref,
}


def dequantize(data: U8, block: Block, shape: Sequence[int]) -> F32:
    """Dequantise a whole tensor: its bytes, its type, its shape (slowest first) -> F32[shape].

    `data` holds exactly the tensor, little-endian; the result is new memory. Raise ValueError if
    the type is unknown, a row is not whole blocks, or `data` has another size than `shape` asks.
    """
    dequantize_ref = DEQUANTIZE_REF.get(block.name)
    if dequantize_ref is None:
        raise ValueError(f"tensor type: found {block.name!r}, expected one of {_names()}")
    blocks = _as_blocks(data, block, shape)
    step = max(1, CHUNK // block.elements)
    if len(blocks) <= step:
        return dequantize_ref(blocks).reshape(shape)
    out = np.empty((len(blocks), block.elements), dtype=np.float32)
    for start in range(0, len(blocks), step):
        out[start : start + step] = dequantize_ref(blocks[start : start + step])
    return out.reshape(shape)


def _as_blocks(data: U8, block: Block, shape: Sequence[int]) -> U8:
    if data.dtype != np.uint8 or data.ndim != 1:
        found = f"{data.dtype} with {data.ndim} dimensions"
        raise ValueError(f"{block.name} data: found {found}, expected uint8 with 1 dimension")
    if any(size < 0 for size in shape):
        raise ValueError(f"{block.name} shape: found {tuple(shape)}, expected no negative size")
    row = shape[-1] if shape else 1
    if row % block.elements:
        rule = f"a multiple of {block.elements} ({block.name}'s weights per block)"
        raise ValueError(f"row of shape {tuple(shape)}: found {row} weights, expected {rule}")
    expected = prod(shape) // block.elements * block.bytes
    if data.size != expected:
        rule = f"{expected} for shape {tuple(shape)}"
        raise ValueError(f"{block.name} data: found {data.size} bytes, expected {rule}")
    return data.reshape(expected // block.bytes, block.bytes)


def _names() -> str:
    return " ".join(DEQUANTIZE_REF)
