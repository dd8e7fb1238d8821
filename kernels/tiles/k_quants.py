"""Q2_K to Q6_K: super-blocks of 256 columns, whose scales are scaled by one float16.

Products of super-block and sub-block scales are rounded to float32 as in the twins
(`kernels/quants`). Q3_K and Q6_K subtract 4 and 32: codes are held 32 and 4 times as large, so that
it is 128.
"""

from __future__ import annotations

from .._jit import inline
from ..simd import (
    isplat,
    load_f16x16,
    load_i8x16,
    load_u8x16,
    shift_left,
    shift_right,
    splat,
    to_f32,
)
from .codes import bits, joined, tile_format


@inline
def unpack_q2_k(unit, block):
    codes = bits(unit + 256 + 512 * (block >> 2), 2 * (block & 3), 0x03)
    d, low = load_f16x16(unit + 1280), load_f16x16(unit + 1312)
    first, second = load_u8x16(unit + 32 * block), load_u8x16(unit + 32 * block + 16)
    scales = d * to_f32(first & isplat(15)), d * to_f32(second & isplat(15))
    return (
        codes,
        scales,
        (low * to_f32(shift_right(first, 4)), low * to_f32(shift_right(second, 4))),
    )


@inline
def scale_q3_k(address, group):
    """The 6-bit scale of 16 columns, less 32: low nibbles in 8 bytes, then the top pairs in 4."""
    low = shift_right(load_u8x16(address + 16 * (group & 7)), 4 * (group >> 3)) & isplat(15)
    top = shift_right(load_u8x16(address + 128 + 16 * (group & 3)), 2 * (group >> 2)) & isplat(3)
    return to_f32((low | shift_left(top, 4)) - isplat(32))


@inline
def unpack_q3_k(unit, block):
    low = bits(unit + 512 + 512 * (block >> 2), 2 * (block & 3) - 5, 0x60)
    codes = joined(low, bits(unit, block - 7, 0x80))
    d = load_f16x16(unit + 1728) * splat(1 / 32)
    first, second = scale_q3_k(unit + 1536, 2 * block), scale_q3_k(unit + 1536, 2 * block + 1)
    return codes, (d * first, d * second), ()


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
    d, low = load_f16x16(unit), load_f16x16(unit + 32)
    return (d * to_f32(scale),), (low * to_f32(minimum),)


@inline
def unpack_q4_k(unit, block):
    scales, minimums = scaled(unit, block)
    return bits(unit + 256 + 512 * (block >> 1), 4 * (block & 1), 0x0F), scales, minimums


@inline
def unpack_q5_k(unit, block):
    scales, minimums = scaled(unit, block)
    codes = bits(unit + 768 + 512 * (block >> 1), 4 * (block & 1), 0x0F)
    return joined(codes, bits(unit + 256, block - 4, 0x10)), scales, minimums


@inline
def unpack_q6_k(unit, block):
    half, k = block >> 2, block & 3
    low = bits(unit + 1024 * half + 512 * (k & 1), 4 * (k >> 1) - 2, 0x3C)
    codes = joined(low, bits(unit + 2048 + 512 * half, 2 * k - 6, 0xC0))
    d = load_f16x16(unit + 3328) * splat(1 / 4)
    first = d * to_f32(load_i8x16(unit + 3072 + 32 * block))
    second = d * to_f32(load_i8x16(unit + 3072 + 32 * block + 16))
    return codes, (first, second), ()


Q2_K = ((0, 16, 1), (16, 16, 4), (80, 1, 2), (82, 1, 2))
Q3_K = ((0, 8, 4), (32, 16, 4), (96, 12, 1), (108, 1, 2))
Q4_K = ((0, 1, 2), (2, 1, 2), (4, 12, 1), (16, 32, 4))
Q5_K = ((0, 1, 2), (2, 1, 2), (4, 12, 1), (16, 8, 4), (48, 32, 4))
Q6_K = ((0, 32, 4), (128, 16, 4), (192, 16, 1), (208, 1, 2))

K_QUANTS = (
    tile_format("q2_k", 256, *Q2_K, unpack=unpack_q2_k, groups=2),
    tile_format("q3_k", 256, *Q3_K, unpack=unpack_q3_k, signed=True, groups=2),
    tile_format("q4_k", 256, *Q4_K, unpack=unpack_q4_k),
    tile_format("q5_k", 256, *Q5_K, unpack=unpack_q5_k),
    tile_format("q6_k", 256, *Q6_K, unpack=unpack_q6_k, signed=True, groups=2),
)
