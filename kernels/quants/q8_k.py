"""Q8_K: y = d * q, q in -128..127. 256 values in 292 bytes; an activation type.

    +---------+-------+--------+------------------------------------------+
    | bytes   | field | type   | holds                                    |
    +---------+-------+--------+------------------------------------------+
    |   0-  3 | d     | f32    | scale                                    |
    |   4-259 | qs    | 256 i8 | byte j: q[j]                             |
    | 260-291 | bsums | 16 i16 | sums of 16 q each: for dot products,     |
    |         |       |        | unused here                              |
    +---------+-------+--------+------------------------------------------+

float32: one product d * q (rounds: d is a full float32).
"""

import numpy as np

from .fields import F32, U8, f32, i8, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q8_K: U8[n, 292] -> F32[n, 256]."""
    return f32(blocks, 0) * i8(blocks, 4, 256).astype(np.float32)
