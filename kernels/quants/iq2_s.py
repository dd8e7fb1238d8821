"""IQ2_S: y = ((d * (scale + 1/2)) / 4) * grid[code][i] * sign. 256 weights in 82 bytes.

Weights 16*g to 16*g+15 share scale[g] (0..15); weights 8*k to 8*k+7 are one row of the grid of
1024 rows of 8, 25, 43, chosen by code[k]; every weight has its own sign bit.

    +-------+--------+-------+--------------------------------------------+
    | bytes | field  | type  | holds                                      |
    +-------+--------+-------+--------------------------------------------+
    |  0- 1 | d      | f16   | scale of the scales                        |
    |  2-33 | qs     | 32 u8 | byte k: bits 0-7 of code[k]                |
    | 34-65 |        | 32 u8 | byte j//8, bit j%8: weight j is negative   |
    | 66-73 | qh     | 8 u8  | byte k//4, bits 2*(k%4) and up: bits 8-9   |
    |       |        |       | of code[k]                                 |
    | 74-81 | scales | 8 u8  | byte g//2: scale[g] in bits 0-3 for even   |
    |       |        |       | g, in 4-7 for odd g                        |
    +-------+--------+-------+--------------------------------------------+

float32: a = d * (scale + 1/2), b = a * 1/4, c = b * grid, c * sign (all exact: 11 + 5 + 6 bits).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet, signs
from .grids import grid_rows


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ2_S: U8[n, 82] -> F32[n, 256]."""
    n = len(blocks)
    high = planes(blocks[:, 66:74], width=1, bits=2).astype(np.uint16)
    codes = blocks[:, 2:34] | high << np.uint16(8)
    half = planes(blocks[:, 74:], width=1, bits=4).astype(np.float32) + np.float32(0.5)
    scale = f16(blocks, 0) * half * np.float32(0.25)
    sign = groups(signs(blocks[:, 34:66]), 16)
    rows = grid_rows("iq2_s", codes, 16)
    return (scale[:, :, None] * rows * sign).reshape(n, 256)
