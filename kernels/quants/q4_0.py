"""Q4_0: y = d * (q - 8), q in 0..15. 32 weights in 18 bytes, 4.5 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2-17 | qs    | 16 u8 | byte j: q[j] in bits 0-3, q[j+16] in 4-7    |
    +-------+-------+-------+---------------------------------------------+

float32: q - 8 (exact), then one product d * (q - 8) (exact: 11 + 4 bits).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q4_0: U8[n, 18] -> F32[n, 32]."""
    q = planes(blocks[:, 2:], width=16, bits=4)
    return f16(blocks, 0) * (q.astype(np.float32) - 8)
