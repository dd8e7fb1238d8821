"""MXFP4, NVFP4, IQ4_NL and IQ4_XS: 4-bit codes for 16 levels, looked up 64 at a time.

Levels are moved up by 128 to be unsigned: IQ4's -127..113, and fp4's -12..12 taken 8 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._jit import inline
from ..quants import iq4_nl, mxfp4
from ..simd import (
    as_f32,
    isplat,
    less,
    load_f16x16,
    load_i32x16,
    load_u8x16,
    select,
    shift_left,
    shift_right,
    splat,
    to_f32,
)
from .codes import TileFormat, each, looked_up, nibble, raised, tile_format
from .lanes import byte_table, header_f16x16

fp4_level = byte_table("fp4_level", [int(v) + 16 << raised(3) for v in mxfp4.LEVELS])
iq4_level = byte_table("iq4_level", [int(v) + 128 for v in iq4_nl.LEVELS])


@inline
def half_e8m0(e):
    """2^(e - 128); below the normal range, e = 0 and 1, the number's bits are 2^21 and 2^22."""
    tiny = as_f32(shift_left(e + isplat(1), 21))
    return select(less(e, isplat(2)), tiny, as_f32(shift_left(e - isplat(1), 23)))


@inline
def unpack_mxfp4(unit, block):
    scale = half_e8m0(load_u8x16(unit)) * splat(1 / 8)
    return (unit + 16,), (scale,), ()


@inline
def half_ue4m3(code):
    """Half of a number of 4 bits of exponent (bias 7) and 3 of mantissa; 0x7F is 0.

    Its seven bits are the top of a float32 with another bias: times 2^119 sets that right,
    exactly.
    """
    value = as_f32(shift_left(code & isplat(127), 20)) * splat(np.float32(2.0**119))
    past = select(less(isplat(127), code), value, splat(0.0))
    return select(less(code, isplat(127)), value, past)


def nibble_of_8(codes: Any, g: int) -> Any:
    """(address): two runs of two vectors, columns 0..7 of a run in the low nibbles, 8..15 in the
    high ones.
    """
    raw = load_i32x16(codes[0] + 128 * (g // 4) + 64 * (g % 2))
    return (raw if g % 4 < 2 else shift_right(raw, 4)) & each(15)


@inline
def unpack_nvfp4(unit, block):
    first = half_ue4m3(load_u8x16(unit + 32 * block)) * splat(1 / 8)
    second = half_ue4m3(load_u8x16(unit + 32 * block + 16)) * splat(1 / 8)
    return (unit + 64 + 256 * block,), (first, second), ()


@inline
def unpack_iq4_nl(unit, block):
    return (unit + 32,), (load_f16x16(unit),), ()


@inline
def unpack_iq4_xs(unit, block):
    low = shift_right(load_u8x16(unit + 64 + 16 * (block >> 1)), 4 * (block & 1)) & isplat(15)
    top = shift_right(load_u8x16(unit + 32 + 16 * (block >> 2)), 2 * (block & 3)) & isplat(3)
    scale = header_f16x16(unit) * to_f32((low | shift_left(top, 4)) - isplat(32))
    return (unit + 128 + 256 * block,), (scale,), ()


MXFP4, NVFP4 = ((0, 1, 1), (1, 4, 4)), ((0, 4, 1), (4, 8, 4))
IQ4_NL, IQ4_XS = ((0, 1, 2), (2, 4, 4)), ((0, 1, 2), (2, 2, 1), (4, 4, 1), (8, 32, 4))


def _fp4(name: str, columns: int, fields: tuple[tuple[int, ...], ...], **rest: Any) -> TileFormat:
    return tile_format(name, columns, *fields, signed=True, in_order=True, **rest)


FP4_CODE, FP4_CODE_OF_8 = looked_up(fp4_level, nibble), looked_up(fp4_level, nibble_of_8)
IQ4_CODE = looked_up(iq4_level, nibble)

FP4 = (
    _fp4("mxfp4", 32, MXFP4, unpack=unpack_mxfp4, code=FP4_CODE, top=28, lift=3),
    _fp4("nvfp4", 64, NVFP4, unpack=unpack_nvfp4, code=FP4_CODE_OF_8, groups=2, top=28, lift=3),
    _fp4("iq4_nl", 32, IQ4_NL, unpack=unpack_iq4_nl, code=IQ4_CODE, top=241),
    _fp4("iq4_xs", 256, IQ4_XS, unpack=unpack_iq4_xs, code=IQ4_CODE, top=241, interleaved=2),
)
