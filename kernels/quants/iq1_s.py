"""IQ1_S: y = (d * (2*scale + 1)) * (grid[code][i] + shift). 256 weights in 50 bytes, 1.5625 bits.

Weights 32*g to 32*g+31 share scale[g] (0..7) and shift[g] (+1/8 or -1/8); weights 8*k to 8*k+7
are one row of the grid of 2048 rows of -1, 0, 1, chosen by code[k].

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale of the scales                         |
    |  2-33 | qs    | 32 u8 | byte k: bits 0-7 of code[k]                 |
    | 34-49 | qh    | 8 u16 | word g: bits 3*l to 3*l+2 (l = 0..3) are    |
    |       |       |       | bits 8-10 of code[4*g + l]; 12-14: scale[g];|
    |       |       |       | 15: shift[g] is -1/8                        |
    +-------+-------+-------+---------------------------------------------+

float32: a = d * (2*scale + 1), b = grid + shift, then a * b (all exact: 11 + 4 + 4 bits).
"""

import numpy as np

from .fields import F32, U8, U16, f16, quiet, u16
from .grids import grid_rows

SHIFT = np.float32(0.125)


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ1_S: U8[n, 50] -> F32[n, 256]."""
    n = len(blocks)
    qh = u16(blocks, 34, 8)
    factor = (2 * (qh >> np.uint16(12) & np.uint16(7)) + 1).astype(np.float32)
    shift = np.where(qh >> np.uint16(15) == 1, -SHIFT, SHIFT)
    rows = grid_rows("iq1_s", _codes(blocks[:, 2:34], qh), 32)
    y = (f16(blocks, 0) * factor)[:, :, None] * (rows + shift[:, :, None])
    return y.reshape(n, 256)


def _codes(qs: U8, qh: U16) -> U16:
    shifts = np.array([0, 3, 6, 9], dtype=np.uint16)
    high = (qh[:, :, None] >> shifts & np.uint16(7)).reshape(len(qs), 32)
    return qs | high << np.uint16(8)
