"""IQ3_S: y = (d * (2*scale + 1)) * grid[code][i] * sign. 256 weights in 110 bytes, 3.4375 bits.

Weights 32*g to 32*g+31 share scale[g] (0..15); weights 4*k to 4*k+3 are one row of the grid of
512 rows of 1, 3, 5, ... 15, chosen by code[k]; every weight has its own sign bit.

    +---------+--------+-------+------------------------------------------+
    | bytes   | field  | type  | holds                                    |
    +---------+--------+-------+------------------------------------------+
    |   0-  1 | d      | f16   | scale of the scales                      |
    |   2- 65 | qs     | 64 u8 | byte k: bits 0-7 of code[k]              |
    |  66- 73 | qh     | 8 u8  | byte k//8, bit k%8: bit 8 of code[k]     |
    |  74-105 | signs  | 32 u8 | byte j//8, bit j%8: weight j is negative |
    | 106-109 | scales | 4 u8  | byte g//2: scale[g] in bits 0-3 for even |
    |         |        |       | g, in 4-7 for odd g                      |
    +---------+--------+-------+------------------------------------------+

float32: a = d * (2*scale + 1), b = a * grid, then b * sign (all exact: 11 + 5 + 4 bits).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet, signs
from .grids import grid_rows


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ3_S: U8[n, 110] -> F32[n, 256]."""
    n = len(blocks)
    high = planes(blocks[:, 66:74], width=1, bits=1).astype(np.uint16)
    codes = blocks[:, 2:66] | high << np.uint16(8)
    odd = 2 * planes(blocks[:, 106:], width=1, bits=4).astype(np.float32) + 1
    scale = f16(blocks, 0) * odd
    sign = groups(signs(blocks[:, 74:106]), 32)
    rows = grid_rows("iq3_s", codes, 32)
    return (scale[:, :, None] * rows * sign).reshape(n, 256)
