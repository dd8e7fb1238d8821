"""Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q1_0 and Q2_0: one float16 scale per 32, 64 or 128 columns.

Codes that 8 or 16 is subtracted from are held 16 or 8 times as large: then it is 128, as in Q8_0.
"""

from __future__ import annotations

from typing import Any

from .._jit import inline
from ..simd import load_f16x16, load_i32x16, shift_left, shift_right, splat, unrolled
from .codes import (
    CODES,
    LOW4,
    add_fifth_bits,
    negative,
    split_high,
    split_nibbles,
    spread_bits,
    spread_pairs,
    tile_format,
    whole,
)


@inline
def unpack_q8_0(unit, block):
    return (unit + 32,), (load_f16x16(unit),), ()


@inline
def unpack_q4_0(unit, block):
    return split_high(unit + 32), (load_f16x16(unit) * splat(1 / 16),), ()


@inline
def unpack_q4_1(unit, block):
    return split_nibbles(unit + 64), (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@unrolled(lambda address: CODES)
def split_eights(address: Any) -> Any:
    """The nibbles of `split_nibbles`, times 8."""
    raw = [load_i32x16(address + 64 * g) for g in range(4)]
    low = [shift_left(v, 3) & (8 * LOW4) for v in raw]
    return (*low, *[shift_right(v, 1) & (8 * LOW4) for v in raw])


@inline
def unpack_q5_0(unit, block):
    codes = add_fifth_bits(split_eights(unit + 96), load_i32x16(unit + 32), 7)
    return codes, (load_f16x16(unit) * splat(1 / 8),), ()


@inline
def unpack_q5_1(unit, block):
    codes = add_fifth_bits(split_nibbles(unit + 128), load_i32x16(unit + 64), 4)
    return codes, (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@unrolled(lambda bits: CODES)
def signs(bits: Any) -> Any:
    """Bit c of `bits` is column c's: 2 for a one, 0 for a zero, so that 1 less is its sign."""
    return tuple(spread_bits(shift_right(bits, 4 * g), 1) for g in range(8))


@inline
def unpack_q1_0(unit, block):
    scale = load_f16x16(unit)
    return signs(load_i32x16(unit + 32 + 64 * block)), (scale,), (scale,)


@unrolled(lambda address: CODES)
def neighbours(address: Any) -> Any:
    """Two vectors: columns 4g..4g+3 share byte g."""
    raw = [load_i32x16(address), load_i32x16(address + 64)]
    return tuple(spread_pairs(shift_right(raw[g // 4], 8 * (g % 4)) & 255) for g in range(8))


@inline
def unpack_q2_0(unit, block):
    scale = load_f16x16(unit)
    return neighbours(unit + 32 + 128 * block), (scale,), (scale,)


LEGACY = (
    tile_format(
        "q8_0", 32, (0, 1, 2), (2, 8, 4, 0x80), unpack=unpack_q8_0, code=whole, signed=True
    ),
    tile_format("q4_0", 32, (0, 1, 2), (2, 4, 4), unpack=unpack_q4_0, signed=True),
    tile_format("q4_1", 32, (0, 1, 2), (2, 1, 2), (4, 4, 4), unpack=unpack_q4_1),
    tile_format("q5_0", 32, (0, 1, 2), (2, 1, 4), (6, 4, 4), unpack=unpack_q5_0, signed=True),
    tile_format("q5_1", 32, (0, 1, 2), (2, 1, 2), (4, 1, 4), (8, 4, 4), unpack=unpack_q5_1),
    tile_format("q1_0", 128, (0, 1, 2), (2, 4, 4), unpack=unpack_q1_0),
    tile_format("q2_0", 64, (0, 1, 2), (2, 4, 4), unpack=unpack_q2_0),
)
