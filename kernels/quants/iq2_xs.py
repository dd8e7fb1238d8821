"""IQ2_XS: y = ((d * (scale + 1/2)) / 4) * grid[code][i] * sign. 256 weights in 74 bytes.

Weights 16*g to 16*g+15 share scale[g] (0..15); weights 8*k to 8*k+7 are one row of the grid of
512 rows of 8, 25, 43, chosen by code[k], with the signs of a 7-bit code (the eighth sign makes
the number of minuses even).

    +-------+--------+--------+-------------------------------------------+
    | bytes | field  | type   | holds                                     |
    +-------+--------+--------+-------------------------------------------+
    |  0- 1 | d      | f16    | scale of the scales                       |
    |  2-65 | qs     | 32 u16 | word k: code[k] in bits 0-8, signs in 9-15|
    | 66-73 | scales | 8 u8   | byte g//2: scale[g] in bits 0-3 for even  |
    |       |        |        | g, in 4-7 for odd g                       |
    +-------+--------+--------+-------------------------------------------+

float32: a = d * (scale + 1/2), b = a * 1/4, c = b * grid, c * sign (all exact: 11 + 5 + 6 bits).
"""

import numpy as np

from .fields import F32, U8, even_signs, f16, groups, planes, quiet, u16
from .grids import grid_rows


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ2_XS: U8[n, 74] -> F32[n, 256]."""
    n = len(blocks)
    words = u16(blocks, 2, 32)
    half = planes(blocks[:, 66:], width=1, bits=4).astype(np.float32) + np.float32(0.5)
    scale = f16(blocks, 0) * half * np.float32(0.25)
    sign = groups(even_signs(words >> np.uint16(9)), 16)
    rows = grid_rows("iq2_xs", words & np.uint16(511), 16)
    return (scale[:, :, None] * rows * sign).reshape(n, 256)
