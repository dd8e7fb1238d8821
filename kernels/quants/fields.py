"""Read the fields of blocks as whole arrays: q = (byte >> shift) & mask, never a loop over weights.

Numbers are little-endian whatever the machine; float16 and float32 fields may lie at odd offsets.
"""

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
I8 = NDArray[np.int8]
F32 = NDArray[np.float32]

# Scales from a file may be Inf or NaN: the result says so, without a warning.
quiet = np.errstate(all="ignore")


def f16(blocks: U8, offset: int) -> F32:
    """Widen the float16 at byte `offset` of each block: U8[n, bytes] -> F32[n, 1]; exact."""
    return _field(blocks, offset, 2).view("<f2").astype(np.float32)


def f32(blocks: U8, offset: int) -> F32:
    """Read the float32 at byte `offset` of each block: U8[n, bytes] -> F32[n, 1]."""
    return _field(blocks, offset, 4).view("<f4").astype(np.float32)


def i8(blocks: U8, offset: int, count: int) -> I8:
    """Read `count` signed bytes: U8[n, bytes] -> I8[n, count]."""
    return _field(blocks, offset, count).view(np.int8)


def u16(blocks: U8, offset: int, count: int) -> U16:
    """Read `count` 16-bit words: U8[n, bytes] -> U16[n, count]."""
    return _field(blocks, offset, 2 * count).view("<u2").astype(np.uint16)


def u32(blocks: U8, offset: int, count: int) -> U32:
    """Read `count` 32-bit words: U8[n, bytes] -> U32[n, count]."""
    return _field(blocks, offset, 4 * count).view("<u4").astype(np.uint32)


def planes(packed: U8, width: int, bits: int) -> U8:
    """Split bytes into codes of `bits`, plane by plane: U8[n, bytes] -> U8[n, bytes * 8 // bits].

    Each run of `width` bytes gives the lowest code of all its bytes, then the next of all.
    width=16, bits=4: q[j] and q[j + 16] share byte j. width=1: neighbours share a byte.
    """
    n, size = packed.shape
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    runs = packed.reshape(n, size // width, 1, width)
    codes = (runs >> shifts) & np.uint8((1 << bits) - 1)
    return codes.reshape(n, size * 8 // bits)


def groups(values: NDArray[np.generic], size: int) -> F32:
    """Split each block into groups, in float32: [n, elements] -> F32[n, elements // size, size]."""
    n, elements = values.shape
    return values.astype(np.float32).reshape(n, elements // size, size)


def signs(bits: U8) -> F32:
    """Turn bits into factors, lowest first, 1 = minus: U8[n, bytes] -> F32[n, bytes * 8]."""
    return np.float32(1) - np.float32(2) * planes(bits, width=1, bits=1)


def even_signs(codes: U16 | U32) -> F32:
    """Expand 7-bit sign codes, [n, k] -> F32[n, k * 8].

    Bits 0..6 are the signs of weights 0..6; the eighth makes the number of minuses even.
    """
    seven = codes.astype(np.uint8) & np.uint8(0x7F)
    odd = np.bitwise_count(seven) & np.uint8(1)
    return signs(seven | odd << np.uint8(7))


def _field(blocks: U8, offset: int, size: int) -> U8:
    return np.ascontiguousarray(blocks[:, offset : offset + size])
