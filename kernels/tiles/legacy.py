"""Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q1_0 and Q2_0: one float16 scale per 32, 64 or 128 columns.

Codes that 8 or 16 is subtracted from are held 16 or 8 times as large: then it is 128, as in Q8_0.
"""

from __future__ import annotations

from typing import Any

from .._jit import inline
from ..simd import load_f16x16, load_i32x16, shift_right, splat
from .codes import (
    TileFormat,
    negative,
    nibble,
    nibble_at,
    raised,
    spread_bits,
    spread_pairs,
    tile_format,
    whole,
    with_fifth_bit,
)


@inline
def unpack_q8_0(unit, block):
    return (unit + 32,), (load_f16x16(unit),), ()


@inline
def unpack_q4_0(unit, block):
    return (unit + 32,), (load_f16x16(unit) * splat(1 / 16),), ()


@inline
def unpack_q4_1(unit, block):
    return (unit + 64,), (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@inline
def unpack_q5_0(unit, block):
    return (unit + 96, load_i32x16(unit + 32)), (load_f16x16(unit) * splat(1 / 8),), ()


@inline
def unpack_q5_1(unit, block):
    codes = unit + 128, load_i32x16(unit + 64)
    return codes, (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


def sign(codes: Any, g: int) -> Any:
    """(bits): bit c is column c's: 2 for a one, 0 for a zero, so that 1 less is its sign."""
    return spread_bits(shift_right(codes[0], 4 * g), 1)


@inline
def unpack_q1_0(unit, block):
    scale = load_f16x16(unit)
    return (load_i32x16(unit + 32 + 64 * block),), (scale,), (scale,)


def neighbours(codes: Any, g: int) -> Any:
    """(address): two vectors; columns 4g..4g+3 share byte g."""
    raw = load_i32x16(codes[0] + 64 * (g // 4))
    return spread_pairs(shift_right(raw, 8 * (g % 4)) & 255)


@inline
def unpack_q2_0(unit, block):
    scale = load_f16x16(unit)
    return (unit + 32 + 128 * block,), (scale,), (scale,)


Q4_0_CODE, Q5_0_CODE = nibble_at(raised(4)), with_fifth_bit(raised(3))
Q5_1_CODE = with_fifth_bit(0)


def _legacy(name: str, columns: int, top: int, *fields: tuple[int, ...], **rest: Any) -> TileFormat:
    return tile_format(name, columns, *fields, top=top, at_once=True, in_order=True, **rest)


LEGACY = (
    tile_format(
        "q8_0", 32, (0, 1, 2), (2, 8, 4, 0x80), unpack=unpack_q8_0, code=whole, signed=True,
        in_order=True,
    ),
    _legacy(
        "q4_0", 32, 15, (0, 1, 2), (2, 4, 4), unpack=unpack_q4_0, code=Q4_0_CODE, signed=True,
        lift=4,
    ),
    _legacy("q4_1", 32, 15, (0, 1, 2), (2, 1, 2), (4, 4, 4), unpack=unpack_q4_1, code=nibble),
    _legacy(
        "q5_0", 32, 31, (0, 1, 2), (2, 1, 4), (6, 4, 4), unpack=unpack_q5_0, code=Q5_0_CODE,
        signed=True, lift=3,
    ),
    _legacy(
        "q5_1", 32, 31, (0, 1, 2), (2, 1, 2), (4, 1, 4), (8, 4, 4), unpack=unpack_q5_1,
        code=Q5_1_CODE,
    ),
    _legacy("q1_0", 128, 2, (0, 1, 2), (2, 4, 4), unpack=unpack_q1_0, code=sign),
    _legacy("q2_0", 64, 3, (0, 1, 2), (2, 4, 4), unpack=unpack_q2_0, code=neighbours),
)  # fmt: skip
