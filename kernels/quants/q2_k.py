"""Q2_K: y = (d * scale) * q - (dmin * min), q in 0..3. 256 weights in 84 bytes, 2.625 bits each.

Weights 16*g to 16*g+15 share scale[g] and min[g].

    +-------+--------+-------+--------------------------------------------+
    | bytes | field  | type  | holds                                      |
    +-------+--------+-------+--------------------------------------------+
    |  0-15 | scales | 16 u8 | byte g: scale[g] in bits 0-3, min[g] in 4-7|
    | 16-79 | qs     | 64 u8 | two runs of 32 bytes, 128 weights each:    |
    |       |        |       | byte j of a run: q[j] in bits 0-1, q[j+32] |
    |       |        |       | in 2-3, q[j+64] in 4-5, q[j+96] in 6-7     |
    | 80-81 | d      | f16   | scale of the scales                        |
    | 82-83 | dmin   | f16   | scale of the minimums                      |
    +-------+--------+-------+--------------------------------------------+

float32: a = d * scale, b = dmin * min, a * q (all exact: 11 + 4 + 2 bits), then a*q - b (rounds).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q2_K: U8[n, 84] -> F32[n, 256]."""
    scales = blocks[:, :16]
    scale = f16(blocks, 80) * (scales & np.uint8(15)).astype(np.float32)
    minimum = f16(blocks, 82) * (scales >> np.uint8(4)).astype(np.float32)
    q = groups(planes(blocks[:, 16:80], width=32, bits=2), 16)
    y = scale[:, :, None] * q - minimum[:, :, None]
    return y.reshape(len(blocks), 256)
