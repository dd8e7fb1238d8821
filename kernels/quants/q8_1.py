"""Q8_1: y = d * q, q in -128..127. 32 values in 36 bytes, 9 bits each; an activation type.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2- 3 | s     | f16   | d * sum of q: for dot products, unused here |
    |  4-35 | qs    | 32 i8 | byte j: q[j]                                |
    +-------+-------+-------+---------------------------------------------+

float32: one product d * q (exact: 11 + 7 bits).
"""

import numpy as np

from .fields import F32, U8, f16, i8, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q8_1: U8[n, 36] -> F32[n, 32]."""
    return f16(blocks, 0) * i8(blocks, 4, 32).astype(np.float32)
