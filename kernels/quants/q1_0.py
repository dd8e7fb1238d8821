"""Q1_0: y = d where the bit is 1, -d where it is 0. 128 weights in 18 bytes, 1.125 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2-17 | qs    | 16 u8 | byte j//8, bit j%8: the sign of weight j    |
    +-------+-------+-------+---------------------------------------------+

float32: d or its negation, nothing is computed.
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q1_0: U8[n, 18] -> F32[n, 128]."""
    d = f16(blocks, 0)
    return np.where(planes(blocks[:, 2:], width=1, bits=1) == 1, d, -d)
