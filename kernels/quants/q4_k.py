"""Q4_K: y = (d * scale) * q - (dmin * min), q in 0..15. 256 weights in 144 bytes, 4.5 bits each.

Weights 32*g to 32*g+31 share scale[g] and min[g], both in 0..63.

    +--------+--------+--------+------------------------------------------+
    | bytes  | field  | type   | holds                                    |
    +--------+--------+--------+------------------------------------------+
    |  0-  1 | d      | f16    | scale of the scales                      |
    |  2-  3 | dmin   | f16    | scale of the minimums                    |
    |  4-  7 | scales | 4 u8   | byte g: scale[g] in bits 0-5,            |
    |        |        |        | bits 4-5 of scale[g+4] in 6-7            |
    |  8- 11 |        | 4 u8   | byte g: min[g] in bits 0-5,              |
    |        |        |        | bits 4-5 of min[g+4] in 6-7              |
    | 12- 15 |        | 4 u8   | byte g: bits 0-3 of scale[g+4] in 0-3,   |
    |        |        |        | of min[g+4] in 4-7                       |
    | 16-143 | qs     | 128 u8 | four runs of 32 bytes, 64 weights each:  |
    |        |        |        | byte j of a run: q[j] in bits 0-3,       |
    |        |        |        | q[j+32] in 4-7                           |
    +--------+--------+--------+------------------------------------------+

float32: a = d * scale, b = dmin * min, a * q (all exact: 11 + 6 + 4 bits), then a*q - b (rounds).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q4_K: U8[n, 144] -> F32[n, 256]."""
    scales, minimums = scales_and_minimums(blocks[:, 4:16])
    scale = f16(blocks, 0) * scales.astype(np.float32)
    minimum = f16(blocks, 2) * minimums.astype(np.float32)
    q = groups(planes(blocks[:, 16:], width=32, bits=4), 32)
    y = scale[:, :, None] * q - minimum[:, :, None]
    return y.reshape(len(blocks), 256)


def scales_and_minimums(packed: U8) -> tuple[U8, U8]:
    """Unpack eight 6-bit scales and minimums (Q4_K, Q5_K): U8[n, 12] -> U8[n, 8], U8[n, 8]."""
    first, second, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    low = planes(rest, width=4, bits=4)
    scales = np.concatenate([_low_six(first), low[:, :4] | _top_two(first)], axis=1)
    minimums = np.concatenate([_low_six(second), low[:, 4:] | _top_two(second)], axis=1)
    return scales, minimums


def _low_six(byte: U8) -> U8:
    return byte & np.uint8(0x3F)


def _top_two(byte: U8) -> U8:
    return (byte >> np.uint8(6)) << np.uint8(4)
