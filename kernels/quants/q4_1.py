"""Q4_1: y = d * q + m, q in 0..15. 32 weights in 20 bytes, 5 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2- 3 | m     | f16   | minimum: the value of q = 0                 |
    |  4-19 | qs    | 16 u8 | byte j: q[j] in bits 0-3, q[j+16] in 4-7    |
    +-------+-------+-------+---------------------------------------------+

float32: p = d * q (exact: 11 + 4 bits), then p + m (rounds).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q4_1: U8[n, 20] -> F32[n, 32]."""
    q = planes(blocks[:, 4:], width=16, bits=4)
    return f16(blocks, 0) * q.astype(np.float32) + f16(blocks, 2)
