"""Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q1_0 and Q2_0: one float16 scale per 32, 64 or 128 columns."""

from __future__ import annotations

from typing import Any

from .._jit import inline
from ..simd import load_f16x16, load_i32x16, shift_left, shift_right, unrolled
from .codes import (
    CODES,
    add_fifth_bits,
    load_codes,
    negative,
    split_nibbles,
    spread_bits,
    spread_pairs,
    tile_format,
)


@inline
def unpack_q8_0(unit, block):
    return load_codes(unit + 32), (load_f16x16(unit),), ()


@inline
def unpack_q4_0(unit, block):
    return split_nibbles(unit + 32), (load_f16x16(unit),), ()


@inline
def unpack_q4_1(unit, block):
    return split_nibbles(unit + 64), (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@inline
def unpack_q5_0(unit, block):
    codes = add_fifth_bits(split_nibbles(unit + 96), load_i32x16(unit + 32))
    return codes, (load_f16x16(unit),), ()


@inline
def unpack_q5_1(unit, block):
    codes = add_fifth_bits(split_nibbles(unit + 128), load_i32x16(unit + 64))
    return codes, (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@unrolled(lambda bits: CODES)
def signs(bits: Any) -> Any:
    """Bit c of `bits` is column c's: 2 for a one, 0 for a zero, so that 1 less is its sign."""
    return tuple(shift_left(spread_bits(shift_right(bits, 4 * g)), 1) for g in range(8))


@inline
def unpack_q1_0(unit, block):
    return signs(load_i32x16(unit + 32 + 64 * block)), (load_f16x16(unit),), ()


@unrolled(lambda address: CODES)
def neighbours(address: Any) -> Any:
    """Two vectors: columns 4g..4g+3 share byte g."""
    raw = [load_i32x16(address), load_i32x16(address + 64)]
    return tuple(spread_pairs(shift_right(raw[g // 4], 8 * (g % 4)) & 255) for g in range(8))


@inline
def unpack_q2_0(unit, block):
    return neighbours(unit + 32 + 128 * block), (load_f16x16(unit),), ()


LEGACY = (
    tile_format("q8_0", 32, (0, 1, 2), (2, 8, 4, 0x80), unpack=unpack_q8_0, shift=7),
    tile_format("q4_0", 32, (0, 1, 2), (2, 4, 4), unpack=unpack_q4_0, shift=3),
    tile_format("q4_1", 32, (0, 1, 2), (2, 1, 2), (4, 4, 4), unpack=unpack_q4_1),
    tile_format("q5_0", 32, (0, 1, 2), (2, 1, 4), (6, 4, 4), unpack=unpack_q5_0, shift=4),
    tile_format("q5_1", 32, (0, 1, 2), (2, 1, 2), (4, 1, 4), (8, 4, 4), unpack=unpack_q5_1),
    tile_format("q1_0", 128, (0, 1, 2), (2, 4, 4), unpack=unpack_q1_0, shift=0),
    tile_format("q2_0", 64, (0, 1, 2), (2, 4, 4), unpack=unpack_q2_0, shift=0),
)
