"""Q2_K to Q6_K: super-blocks of 256 columns, whose scales are scaled by one float16.

Products of super-block and sub-block scales are rounded to float32 as in the twins
(`kernels/quants`). Q3_K and Q6_K subtract 4 and 32: codes are held 32 and 4 times as large, so that
it is 128.
"""

from __future__ import annotations

from typing import Any

from .._jit import inline
from ..simd import (
    isplat,
    load_i8x16,
    load_u8x16,
    shift_left,
    shift_right,
    splat,
    to_f32,
)
from .codes import TileFormat, bits, in_place, joined, places, raised, tile_format, two_parts
from .lanes import header_f16x16
from .regroup import REGROUP_Q3_K

Q3_K_LOW, Q3_K_HIGH = raised(5), raised(5) + 2  # where bits 0 and 1, and bit 2, of a code go


@inline
def unpack_q2_k(unit, block):
    codes, unit_of = places(unit + 256 + 512 * (block >> 2), 2 * (block & 3), 2)
    d, low = header_f16x16(unit + 1280) * unit_of, header_f16x16(unit + 1312)
    first, second = load_u8x16(unit + 32 * block), load_u8x16(unit + 32 * block + 16)
    scales = d * to_f32(first & isplat(15)), d * to_f32(second & isplat(15))
    return (
        codes,
        scales,
        (low * to_f32(shift_right(first, 4)), low * to_f32(shift_right(second, 4))),
    )


@inline
def codes_q3_k(unit, block):
    """The codes from what `regroup.py` made of them."""
    if block < 6:
        return bits(unit + 512 * (block >> 1), 5 - 3 * (block & 1), 3, Q3_K_LOW)
    low = bits(unit + 512 * (block - 6), 0, 2, Q3_K_LOW)
    return joined(low, bits(unit + 1024, block - 6, 1, Q3_K_HIGH))


@inline
def unpack_q3_k(unit, block):
    d = header_f16x16(unit + 1792) * splat(1 / 32)
    first = d * to_f32(load_i8x16(unit + 1536 + 32 * block))
    second = d * to_f32(load_i8x16(unit + 1536 + 32 * block + 16))
    return codes_q3_k(unit, block), (first, second), ()


@inline
def scale_and_minimum(address, block):
    """The 6-bit scale and minimum of Q4_K and Q5_K: 12 bytes, here 12 vectors of 16 bytes.

    Bytes 0..3 and 4..7 hold those of blocks 0..3; their top bits and bytes 8..11 those of blocks
    4..7.
    """
    if block < 4:
        return (
            load_u8x16(address + 16 * block) & isplat(63),
            load_u8x16(address + 16 * block + 64) & isplat(63),
        )
    both = load_u8x16(address + 16 * block + 64)
    scale_top = shift_right(load_u8x16(address + 16 * block - 64), 6)
    minimum_top = shift_right(load_u8x16(address + 16 * block), 6)
    return (
        (both & isplat(15)) | shift_left(scale_top, 4),
        shift_right(both, 4) | shift_left(minimum_top, 4),
    )


@inline
def scaled(unit, block):
    """The scale and minimum of 32 columns, in tuples of one."""
    scale, minimum = scale_and_minimum(unit + 64, block)
    d, low = header_f16x16(unit), header_f16x16(unit + 32)
    return (d * to_f32(scale),), (low * to_f32(minimum),)


@inline
def unpack_q4_k(unit, block):
    (scale,), minimums = scaled(unit, block)
    codes, unit_of = places(unit + 256 + 512 * (block >> 1), 4 * (block & 1), 4)
    return codes, (scale * unit_of,), minimums


@inline
def unpack_q5_k(unit, block):
    scales, minimums = scaled(unit, block)
    return (unit + 768 + 512 * (block >> 1), 4 * (block & 1), unit + 256, block), scales, minimums


@inline
def unpack_q6_k(unit, block):
    half, k = block >> 2, block & 3
    low, high = unit + 1024 * half + 512 * (k & 1), unit + 2048 + 512 * half
    d = header_f16x16(unit + 3328) * splat(1 / 4)
    first = d * to_f32(load_i8x16(unit + 3072 + 32 * block))
    second = d * to_f32(load_i8x16(unit + 3072 + 32 * block + 16))
    return (low, 4 * (k >> 1), high, 2 * k), (first, second), ()


Q2_K = ((0, 16, 1), (16, 16, 4), (80, 1, 2), (82, 1, 2))
Q3_K = ((0, 24, 4), (96, 16, 1), (112, 1, 2))  # as `regroup.py` writes them
Q4_K = ((0, 1, 2), (2, 1, 2), (4, 12, 1), (16, 32, 4))
Q5_K = ((0, 1, 2), (2, 1, 2), (4, 12, 1), (16, 8, 4), (48, 32, 4))
Q6_K = ((0, 32, 4), (128, 16, 4), (192, 16, 1), (208, 1, 2))

Q5_K_CODE, Q6_K_CODE = two_parts(4, 1), two_parts(4, 2, raised(2))


def _k_quant(name: str, top: int, fields: tuple[tuple[int, ...], ...], **rest: Any) -> TileFormat:
    return tile_format(name, 256, *fields, top=top, **rest)


K_QUANTS = (
    _k_quant(
        "q2_k", 12, Q2_K, unpack=unpack_q2_k, code=in_place, groups=2, interleaved=4, in_order=True,
    ),
    _k_quant(
        "q3_k", 7, Q3_K, unpack=unpack_q3_k, signed=True, groups=2, expand=REGROUP_Q3_K, lift=5,
        interleaved=2,
    ),
    _k_quant("q4_k", 15, Q4_K, unpack=unpack_q4_k, code=in_place, interleaved=2, in_order=True),
    _k_quant("q5_k", 31, Q5_K, unpack=unpack_q5_k, code=Q5_K_CODE, at_once=True, interleaved=2),
    _k_quant(
        "q6_k", 63, Q6_K, unpack=unpack_q6_k, code=Q6_K_CODE, signed=True, groups=2, lift=2,
        interleaved=4,
    ),
)  # fmt: skip
