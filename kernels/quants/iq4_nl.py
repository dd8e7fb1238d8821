"""IQ4_NL: y = d * LEVELS[q], q in 0..15. 32 weights in 18 bytes, 4.5 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale                                       |
    |  2-17 | qs    | 16 u8 | byte j: q[j] in bits 0-3, q[j+16] in 4-7    |
    +-------+-------+-------+---------------------------------------------+

float32: one product d * LEVELS[q] (exact: 11 + 7 bits).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet

# Denser near zero than a uniform scale (ggml's kvalues_iq4nl); IQ4_XS uses them too.
LEVELS: F32 = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32
)


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ4_NL: U8[n, 18] -> F32[n, 32]."""
    q = planes(blocks[:, 2:], width=16, bits=4)
    return f16(blocks, 0) * LEVELS[q]
