"""Q2_0: y = d * (q - 1), q in 0..3. 64 weights in 18 bytes, 2.25 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2-17 | qs    | 16 u8 | byte j//4, bits 2*(j%4) and up: q[j]        |
    +-------+-------+-------+---------------------------------------------+

float32: q - 1 (exact), then one product d * (q - 1) (exact: 11 + 2 bits).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q2_0: U8[n, 18] -> F32[n, 64]."""
    q = planes(blocks[:, 2:], width=1, bits=2)
    return f16(blocks, 0) * (q.astype(np.float32) - 1)
