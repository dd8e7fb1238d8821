"""IQ1, IQ2 and IQ3 in tiles: the codes that `expand.py` makes of grid rows, and their scales.

    IQ1      a * (code - 1 + shift), a = d * (2 * scale + 1), shift = 1/8 or -1/8
    IQ2      a * level, a = d * (scale + 1/2) / 4, levels 8, 25, 43 and -8, -25, -43, plus 64
    IQ3_XXS  a * level, a = d * (scale + 1/2) / 2, levels 4 to 62 and -4 to -62, plus 64
    IQ3_S    a * (2 * code - 15), a = d * (2 * scale + 1)

All products are exact in float32, so their order is free.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._jit import inline
from ..quants.grids import GRIDS
from ..simd import (
    isplat,
    load_f16x16,
    load_i32x16,
    load_u8x16,
    shift_left,
    shift_right,
    splat,
    to_f32,
    unrolled,
)
from .codes import CODES, LOW1, add_plane, pairs, split_nibbles, tile_format
from .expand import EXPANSIONS
from .lanes import byte_table

SHIFT = 6  # of IQ2 and IQ3_XXS


def _signed_levels(name: str) -> list[int]:
    """64 + level at its number, 64 - level 4 (of three levels) or 8 further on; the rest 64."""
    levels = GRIDS[name].levels
    table = np.full(16, 64)
    table[: len(levels)] += levels
    minus = 4 if len(levels) == 3 else 8
    table[minus : minus + len(levels)] -= levels
    return [int(entry) for entry in table]


iq2_level = byte_table("iq2_level", _signed_levels("iq2_s"))
iq3_level = byte_table("iq3_level", _signed_levels("iq3_xxs"))


@unrolled(lambda codes: CODES)
def iq2_levels(codes: Any) -> Any:
    return tuple(iq2_level(code) for code in codes)


@unrolled(lambda codes: CODES)
def iq3_levels(codes: Any) -> Any:
    return tuple(iq3_level(code) for code in codes)


@inline
def nibble(address, g):
    """Number `g` of 4 bits, two in a byte."""
    return shift_right(load_u8x16(address + 16 * (g >> 1)), 4 * (g & 1)) & isplat(15)


@inline
def half_steps(number):
    return to_f32(number) + splat(0.5)


# --- IQ2 ------------------------------------------------------------------------------------------


@inline
def codes_iq2(unit, block):
    codes = pairs(unit + 512 * (block >> 2), 2 * (block & 3))
    return iq2_levels(add_plane(codes, unit + 1024, block, 2))


@inline
def unpack_iq2_xxs(unit, block):
    d = load_f16x16(unit + 1600) * splat(0.25)
    return codes_iq2(unit, block), (d * half_steps(nibble(unit + 1536, block)),), ()


@inline
def unpack_iq2_s(unit, block):
    d = load_f16x16(unit + 1664) * splat(0.25)
    both = load_u8x16(unit + 1536 + 16 * block)
    first, second = half_steps(both & isplat(15)), half_steps(shift_right(both, 4))
    return codes_iq2(unit, block), (d * first, d * second), ()


# --- IQ3 ------------------------------------------------------------------------------------------


@inline
def unpack_iq3_xxs(unit, block):
    d = load_f16x16(unit + 2112) * splat(0.5)
    codes = iq3_levels(split_nibbles(unit + 256 * block))
    return codes, (d * half_steps(nibble(unit + 2048, block)),), ()


@unrolled(lambda address: CODES)
def odd_nibbles(address: Any) -> Any:
    """2 * code + 1 of columns 0..15 in the low nibbles, 16..31 in the high ones."""
    raw = [load_i32x16(address + 64 * g) for g in range(4)]
    low = [shift_left(v, 1) & (15 * 2 * LOW1) | LOW1 for v in raw]
    return (*low, *[shift_right(v, 3) & (15 * 2 * LOW1) | LOW1 for v in raw])


@inline
def unpack_iq3_s(unit, block):
    scale = nibble(unit + 2048, block)
    d = load_f16x16(unit + 2112)
    return odd_nibbles(unit + 256 * block), (d * to_f32(scale + scale + isplat(1)),), ()


# --- IQ1 ------------------------------------------------------------------------------------------


@inline
def unpack_iq1_s(unit, block):
    both = nibble(unit + 1024, block)
    scale = both & isplat(7)
    a = load_f16x16(unit + 1088) * to_f32(scale + scale + isplat(1))
    eighths = to_f32(isplat(7) + shift_left(shift_right(both, 3), 1))
    return pairs(unit + 512 * (block >> 2), 2 * (block & 3)), (a,), (a * (eighths * splat(0.125)),)


@unrolled(lambda codes, bits: CODES)
def shifted_eighths(codes: Any, bits: Any) -> Any:
    """8 * code + 9, or + 7 for columns 8k..8k+7 if bit k of `bits` is set; 16 is moved up to."""
    shifts = [(shift_right(bits, k) & 1) * (-2 * LOW1) + 9 * LOW1 for k in range(4)]
    return tuple(shift_left(code, 3) + shifts[g // 2] for g, code in enumerate(codes))


@inline
def unpack_iq1_m(unit, block):
    codes = pairs(unit + 512 * (block >> 2), 2 * (block & 3))
    codes = shifted_eighths(codes, shift_right(load_i32x16(unit + 1152), 4 * block))
    d = load_f16x16(unit + 1216) * splat(0.125)
    both = load_u8x16(unit + 1024 + 16 * block)
    first, second = both & isplat(7), shift_right(both, 4)
    scales = d * to_f32(first + first + isplat(1)), d * to_f32(second + second + isplat(1))
    return codes, scales, ()


IQ1_S = ((0, 16, 4), (64, 4, 1), (68, 1, 2))
IQ1_M = ((0, 16, 4), (64, 8, 1), (72, 1, 4), (76, 1, 2))
IQ2_XXS = ((0, 16, 4), (64, 8, 4), (96, 4, 1), (100, 1, 2))
IQ2_S = ((0, 16, 4), (64, 8, 4), (96, 8, 1), (104, 1, 2))
IQ3 = ((0, 32, 4), (128, 4, 1), (132, 1, 2))


def _codebook(name: str, fields: tuple[tuple[int, ...], ...], unpack: Any, **rest: Any) -> Any:
    return tile_format(name, 256, *fields, unpack=unpack, expand=EXPANSIONS[name], **rest)


CODEBOOKS = (
    _codebook("iq1_s", IQ1_S, unpack_iq1_s),
    _codebook("iq1_m", IQ1_M, unpack_iq1_m, shift=4, groups=2),
    _codebook("iq2_xxs", IQ2_XXS, unpack_iq2_xxs, shift=SHIFT),
    _codebook("iq2_xs", IQ2_S, unpack_iq2_s, shift=SHIFT, groups=2),
    _codebook("iq2_s", IQ2_S, unpack_iq2_s, shift=SHIFT, groups=2),
    _codebook("iq3_xxs", IQ3, unpack_iq3_xxs, shift=SHIFT),
    _codebook("iq3_s", IQ3, unpack_iq3_s, shift=4),
)
