"""Q5_0: y = d * (q - 16), q in 0..31. 32 weights in 22 bytes, 5.5 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2- 5 | qh    | 4 u8  | byte j//8, bit j%8: bit 4 of q[j]           |
    |  6-21 | qs    | 16 u8 | byte j: bits 0-3 of q[j] in bits 0-3,       |
    |       |       |       | of q[j+16] in bits 4-7                      |
    +-------+-------+-------+---------------------------------------------+

float32: q - 16 (exact), then one product d * (q - 16) (exact: 11 + 5 bits).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q5_0: U8[n, 22] -> F32[n, 32]."""
    low = planes(blocks[:, 6:], width=16, bits=4)
    high = planes(blocks[:, 2:6], width=1, bits=1)
    q = low | high << np.uint8(4)
    return f16(blocks, 0) * (q.astype(np.float32) - 16)
