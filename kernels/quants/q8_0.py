"""Q8_0: y = d * q, q in -128..127. 32 weights in 34 bytes, 8.5 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2-33 | qs    | 32 i8 | byte j: q[j]                                |
    +-------+-------+-------+---------------------------------------------+

float32: one product d * q (exact: 11 + 7 bits).
"""

import numpy as np

from .fields import F32, U8, f16, i8, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q8_0: U8[n, 34] -> F32[n, 32]."""
    return f16(blocks, 0) * i8(blocks, 2, 32).astype(np.float32)
