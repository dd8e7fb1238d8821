"""IQ1_M: y = (d * (2*scale + 1)) * (grid[code][i] + shift). 256 weights in 56 bytes, 1.75 bits.

Weights 16*g to 16*g+15 share scale[g] (0..7); weights 8*k to 8*k+7 have shift[k] (+1/8 or -1/8)
and are one row of IQ1_S's grid, chosen by code[k]. The float16 d is cut into four nibbles.

    +-------+--------+-------+--------------------------------------------+
    | bytes | field  | type  | holds                                      |
    +-------+--------+-------+--------------------------------------------+
    |  0-31 | qs     | 32 u8 | byte k: bits 0-7 of code[k]                |
    | 32-47 | qh     | 16 u8 | byte k//2, bits 0-3 for even k, 4-7 for    |
    |       |        |       | odd: three bits are bits 8-10 of code[k],  |
    |       |        |       | the fourth says that shift[k] is -1/8      |
    | 48-55 | scales | 4 u16 | word w: bits 3*l to 3*l+2 (l = 0..3):      |
    |       |        |       | scale[4*w + l]; 12-15: nibble w of d       |
    +-------+--------+-------+--------------------------------------------+

float32: a = d * (2*scale + 1), b = grid + shift, then a * b (all exact: 11 + 4 + 4 bits).
"""

import numpy as np

from .fields import F32, U8, U16, planes, quiet, u16
from .grids import grid_rows
from .iq1_s import SHIFT


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ1_M: U8[n, 56] -> F32[n, 256]."""
    n = len(blocks)
    words = u16(blocks, 48, 4)
    scale = _shared_scale(words) * (2 * _scales(words) + 1).astype(np.float32)
    high = planes(blocks[:, 32:48], width=1, bits=4)
    codes = blocks[:, :32] | (high & np.uint8(7)).astype(np.uint16) << np.uint16(8)
    shift = np.where(high >> np.uint8(3) == 1, -SHIFT, SHIFT)
    shifted = grid_rows("iq1_s", codes, 8) + shift[:, :, None]  # [n, 32, 8]
    return (scale[:, :, None] * shifted.reshape(n, 16, 16)).reshape(n, 256)


def _shared_scale(words: U16) -> F32:
    nibbles = words >> np.uint16(12) << np.array([0, 4, 8, 12], dtype=np.uint16)
    bits = np.bitwise_or.reduce(nibbles, axis=1, keepdims=True)
    return bits.view(np.float16).astype(np.float32)


def _scales(words: U16) -> U16:
    shifts = np.array([0, 3, 6, 9], dtype=np.uint16)
    return (words[:, :, None] >> shifts & np.uint16(7)).reshape(len(words), 16)
