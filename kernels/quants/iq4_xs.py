"""IQ4_XS: y = (d * (scale - 32)) * LEVELS[q], q in 0..15. 256 weights in 136 bytes, 4.25 bits each.

Weights 32*g to 32*g+31 share scale[g], which is in 0..63. LEVELS are IQ4_NL's.

    +-------+----------+--------+-----------------------------------------+
    | bytes | field    | type   | holds                                   |
    +-------+----------+--------+-----------------------------------------+
    | 0-  1 | d        | f16    | scale of the scales                     |
    | 2-  3 | scales_h | u16    | bits 2*g and up: bits 4-5 of scale[g]   |
    | 4-  7 | scales_l | 4 u8   | byte g//2: bits 0-3 of scale[g] in 0-3  |
    |       |          |        | for even g, in 4-7 for odd g            |
    | 8-135 | qs       | 128 u8 | eight runs of 16 bytes, 32 weights each:|
    |       |          |        | byte j of a run: q[j] in bits 0-3,      |
    |       |          |        | q[j+16] in 4-7                          |
    +-------+----------+--------+-----------------------------------------+

float32: a = d * (scale - 32), then a * LEVELS[q] (both exact: 11 + 5 + 7 bits).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet
from .iq4_nl import LEVELS


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ4_XS: U8[n, 136] -> F32[n, 256]."""
    low = planes(blocks[:, 4:8], width=1, bits=4)
    high = planes(blocks[:, 2:4], width=1, bits=2)
    scale = f16(blocks, 0) * ((low | high << np.uint8(4)).astype(np.float32) - 32)
    levels = groups(LEVELS[planes(blocks[:, 8:], width=16, bits=4)], 32)
    return (scale[:, :, None] * levels).reshape(len(blocks), 256)
