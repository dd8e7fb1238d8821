"""Q5_1: y = d * q + m, q in 0..31. 32 weights in 24 bytes, 6 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2- 3 | m     | f16   | minimum: the value of q = 0                 |
    |  4- 7 | qh    | 4 u8  | byte j//8, bit j%8: bit 4 of q[j]           |
    |  8-23 | qs    | 16 u8 | byte j: bits 0-3 of q[j] in bits 0-3,       |
    |       |       |       | of q[j+16] in bits 4-7                      |
    +-------+-------+-------+---------------------------------------------+

float32: p = d * q (exact: 11 + 5 bits), then p + m (rounds).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q5_1: U8[n, 24] -> F32[n, 32]."""
    low = planes(blocks[:, 8:], width=16, bits=4)
    high = planes(blocks[:, 4:8], width=1, bits=1)
    q = low | high << np.uint8(4)
    return f16(blocks, 0) * q.astype(np.float32) + f16(blocks, 2)
