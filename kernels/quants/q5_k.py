"""Q5_K: y = (d * scale) * q - (dmin * min), q in 0..31. 256 weights in 176 bytes, 5.5 bits each.

Weights 32*g to 32*g+31 share scale[g] and min[g], both in 0..63.

    +--------+--------+--------+------------------------------------------+
    | bytes  | field  | type   | holds                                    |
    +--------+--------+--------+------------------------------------------+
    |  0-  1 | d      | f16    | scale of the scales                      |
    |  2-  3 | dmin   | f16    | scale of the minimums                    |
    |  4- 15 | scales | 12 u8  | scales and minimums packed as in Q4_K    |
    | 16- 47 | qh     | 32 u8  | byte j%32, bit j//32: bit 4 of q[j]      |
    | 48-175 | qs     | 128 u8 | four runs of 32 bytes, 64 weights each:  |
    |        |        |        | byte j of a run: bits 0-3 of q[j] in     |
    |        |        |        | bits 0-3, of q[j+32] in 4-7              |
    +--------+--------+--------+------------------------------------------+

float32: a = d * scale, b = dmin * min, a * q (all exact: 11 + 6 + 5 bits), then a*q - b (rounds).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet
from .q4_k import scales_and_minimums


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q5_K: U8[n, 176] -> F32[n, 256]."""
    scales, minimums = scales_and_minimums(blocks[:, 4:16])
    scale = f16(blocks, 0) * scales.astype(np.float32)
    minimum = f16(blocks, 2) * minimums.astype(np.float32)
    low = planes(blocks[:, 48:], width=32, bits=4)
    high = planes(blocks[:, 16:48], width=32, bits=1)
    q = groups(low | high << np.uint8(4), 32)
    y = scale[:, :, None] * q - minimum[:, :, None]
    return y.reshape(len(blocks), 256)
