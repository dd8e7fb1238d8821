"""IQ1, IQ2 and IQ3 in tiles: the codes that `expand.py` makes of grid rows, and their scales.

    IQ1      a * (code - 1 + shift), a = d * (2 * scale + 1), shift = 1/8 or -1/8
    IQ2      a * level, a = d * (scale + 1/2) / 4, levels 8, 25, 43 and -8, -25, -43
    IQ3_XXS  a * level, a = d * (scale + 1/2) / 2, levels 4 to 62 and -4 to -62
    IQ3_S    a * (2 * code - 15), a = d * (2 * scale + 1)

Signed levels are taken 2 times (IQ2, IQ3_XXS), 8 times (IQ3_S) or 64 times (IQ1_M), plus 128.

All products are exact in float32, so their order is free.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._jit import inline
from ..quants.grids import GRIDS
from ..simd import (
    isplat,
    load_i32x16,
    load_u8x16,
    shift_left,
    shift_right,
    splat,
    to_f32,
    unrolled,
)
from .codes import (
    CODES,
    LOW1,
    bits,
    in_place,
    looked_up,
    nibble,
    nibble_at,
    places,
    raised,
    tile_format,
    two_parts,
)
from .expand import EXPANSIONS
from .lanes import byte_table, header_f16x16


def _signed_levels(name: str) -> list[int]:
    """128 + 2 * level at its number, 128 less it 4 (of three levels) or 8 further on; else 128.

    All are even.
    """
    levels = 2 * np.array(GRIDS[name].levels)
    table = np.full(16, 128)
    table[: len(levels)] += levels
    minus = 4 if len(levels) == 3 else 8
    table[minus : minus + len(levels)] -= levels
    return [int(entry) >> 1 - raised(1) for entry in table]


IQ1_M_PLACE = IQ3_S_PLACE = raised(3)
IQ1_M_CODE, IQ3_S_NIBBLE = 3 + IQ1_M_PLACE, nibble_at(1 + IQ3_S_PLACE)
iq2_level = byte_table("iq2_level", _signed_levels("iq2_s"))
iq3_level = byte_table("iq3_level", _signed_levels("iq3_xxs"))


@inline
def four_bits(address, g):
    """Number `g` of 4 bits, two in a byte."""
    return shift_right(load_u8x16(address + 16 * (g >> 1)), 4 * (g & 1)) & isplat(15)


@inline
def half_steps(number):
    return to_f32(number) + splat(0.5)


# --- IQ2 ------------------------------------------------------------------------------------------


@inline
def codes_iq2(unit, block):
    return unit + 512 * (block >> 2), 2 * (block & 3), unit + 1024, block


@inline
def unpack_iq2_xxs(unit, block):
    d = header_f16x16(unit + 1600) * splat(1 / 8)
    return codes_iq2(unit, block), (d * half_steps(four_bits(unit + 1536, block)),), ()


@inline
def unpack_iq2_s(unit, block):
    d = header_f16x16(unit + 1664) * splat(1 / 8)
    both = load_u8x16(unit + 1536 + 16 * block)
    first, second = half_steps(both & isplat(15)), half_steps(shift_right(both, 4))
    return codes_iq2(unit, block), (d * first, d * second), ()


# --- IQ3 ------------------------------------------------------------------------------------------


@inline
def unpack_iq3_xxs(unit, block):
    d = header_f16x16(unit + 2112) * splat(1 / 4)
    return (unit + 256 * block,), (d * half_steps(four_bits(unit + 2048, block)),), ()


def odd(codes: Any, g: int) -> Any:
    """8 * (2 * code + 1) of columns 0..15 in the low nibbles, 16..31 in the high ones."""
    return IQ3_S_NIBBLE(codes, g) | (LOW1 << IQ3_S_PLACE)


@inline
def unpack_iq3_s(unit, block):
    scale = four_bits(unit + 2048, block)
    d = header_f16x16(unit + 2112) * splat(1 / 8)
    return (unit + 256 * block,), (d * to_f32(scale + scale + isplat(1)),), ()


# --- IQ1 ------------------------------------------------------------------------------------------


@inline
def unpack_iq1_s(unit, block):
    both = four_bits(unit + 1024, block)
    scale = both & isplat(7)
    a = header_f16x16(unit + 1088) * to_f32(scale + scale + isplat(1))
    eighths = to_f32(isplat(7) + shift_left(shift_right(both, 3), 1))
    codes, unit_of = places(unit + 512 * (block >> 2), 2 * (block & 3), 2)
    return codes, (a * unit_of,), (a * (eighths * splat(0.125)),)


@unrolled(lambda codes, minus: CODES)
def shifted_eighths(codes: Any, minus: Any) -> Any:
    """64 * code, plus 72, or 56 for columns 8k..8k+7 if bit k of `minus` is set."""
    one = LOW1 << IQ1_M_PLACE
    shifts = [(shift_right(minus, k) & 1) * (-2 * one) + 9 * one for k in range(4)]
    return tuple(code + shifts[g // 2] for g, code in enumerate(codes))


@inline
def unpack_iq1_m(unit, block):
    codes = bits(unit + 512 * (block >> 2), 2 * (block & 3), 2, IQ1_M_CODE)
    codes = shifted_eighths(codes, shift_right(load_i32x16(unit + 1152), 4 * block))
    d = header_f16x16(unit + 1216) * splat(1 / 64)
    both = load_u8x16(unit + 1024 + 16 * block)
    first, second = both & isplat(7), shift_right(both, 4)
    scales = d * to_f32(first + first + isplat(1)), d * to_f32(second + second + isplat(1))
    return codes, scales, ()


IQ1_S = ((0, 16, 4), (64, 4, 1), (68, 1, 2))
IQ1_M = ((0, 16, 4), (64, 8, 1), (72, 1, 4), (76, 1, 2))
IQ2_XXS = ((0, 16, 4), (64, 8, 4), (96, 4, 1), (100, 1, 2))
IQ2_S = ((0, 16, 4), (64, 8, 4), (96, 8, 1), (104, 1, 2))
IQ3 = ((0, 32, 4), (128, 4, 1), (132, 1, 2))


def _codebook(
    name: str, fields: tuple[tuple[int, ...], ...], top: int, lift: int, unpack: Any, **rest: Any
) -> Any:
    extra = {"top": top, "lift": lift, "unpack": unpack, "expand": EXPANSIONS[name], **rest}
    return tile_format(name, 256, *fields, **extra)


IQ2_CODE = looked_up(iq2_level, two_parts(2, 1))
IQ3_CODE = looked_up(iq3_level, nibble)

CODEBOOKS = (
    _codebook("iq1_s", IQ1_S, 8, 0, unpack_iq1_s, code=in_place, interleaved=4),
    _codebook("iq1_m", IQ1_M, 25, 3, unpack_iq1_m, signed=True, groups=2, interleaved=4),
    _codebook("iq2_xxs", IQ2_XXS, 107, 1, unpack_iq2_xxs, code=IQ2_CODE, signed=True),
    _codebook("iq2_xs", IQ2_S, 107, 1, unpack_iq2_s, code=IQ2_CODE, signed=True, groups=2),
    _codebook("iq2_s", IQ2_S, 107, 1, unpack_iq2_s, code=IQ2_CODE, signed=True, groups=2),
    _codebook("iq3_xxs", IQ3, 126, 1, unpack_iq3_xxs, code=IQ3_CODE, signed=True),
    _codebook("iq3_s", IQ3, 31, 3, unpack_iq3_s, code=odd, signed=True, at_once=True),
)
