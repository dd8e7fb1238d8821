"""Q6_K: y = (d * scale) * (q - 32), q in 0..63. 256 weights in 210 bytes, 6.5625 bits each.

Weights 16*g to 16*g+15 share scale[g], a signed byte.

    +---------+--------+--------+-----------------------------------------+
    | bytes   | field  | type   | holds                                   |
    +---------+--------+--------+-----------------------------------------+
    |   0-127 | ql     | 128 u8 | two runs of 64 bytes, 128 weights each: |
    |         |        |        | byte j of a run: bits 0-3 of q[j] in    |
    |         |        |        | bits 0-3, of q[j+64] in 4-7             |
    | 128-191 | qh     | 64 u8  | two runs of 32 bytes, 128 weights each: |
    |         |        |        | byte j: bits 4-5 of q[j] in 0-1, q[j+32]|
    |         |        |        | in 2-3, q[j+64] in 4-5, q[j+96] in 6-7  |
    | 192-207 | scales | 16 i8  | byte g: scale[g]                        |
    | 208-209 | d      | f16    | scale of the scales                     |
    +---------+--------+--------+-----------------------------------------+

float32: a = d * scale, then a * (q - 32) (both exact: 11 + 7 + 5 bits).
"""

import numpy as np

from .fields import F32, U8, f16, groups, i8, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q6_K: U8[n, 210] -> F32[n, 256]."""
    scale = f16(blocks, 208) * i8(blocks, 192, 16).astype(np.float32)
    low = planes(blocks[:, :128], width=64, bits=4)
    high = planes(blocks[:, 128:192], width=32, bits=2)
    q = groups(low | high << np.uint8(4), 16) - 32
    return (scale[:, :, None] * q).reshape(len(blocks), 256)
