"""IQ2_XXS: y = ((d * (scale + 1/2)) / 4) * grid[code][i] * sign. 256 weights in 66 bytes.

Weights 32*g to 32*g+31 share scale[g] (0..15); weights 8*k to 8*k+7 are one row of the grid of
256 rows of 8, 25, 43, chosen by code[k], with the signs of a 7-bit code (the eighth sign makes
the number of minuses even).

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale of the scales                         |
    |  2-65 | qs    |       | eight runs of 8 bytes, run g:               |
    |       |       | 4 u8  |   code[4*g] to code[4*g + 3]                |
    |       |       | u32   |   bits 7*l to 7*l+6 (l = 0..3): signs of    |
    |       |       |       |   row 4*g + l; 28-31: scale[g]              |
    +-------+-------+-------+---------------------------------------------+

float32: a = d * (scale + 1/2), b = a * 1/4, c = b * grid, c * sign (all exact: 11 + 5 + 6 bits).
"""

import numpy as np

from .fields import F32, U8, even_signs, f16, groups, quiet, u32
from .grids import grid_rows


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ2_XXS: U8[n, 66] -> F32[n, 256]."""
    n = len(blocks)
    codes = blocks[:, 2:].reshape(n, 8, 8)[:, :, :4].reshape(n, 32)
    words = u32(blocks, 2, 16)[:, 1::2]
    sign_codes = words[:, :, None] >> np.array([0, 7, 14, 21], dtype=np.uint32)
    sign = groups(even_signs(sign_codes.reshape(n, 32)), 32)
    half = (words >> np.uint32(28)).astype(np.float32) + np.float32(0.5)
    scale = f16(blocks, 0) * half * np.float32(0.25)
    rows = grid_rows("iq2_xxs", codes, 32)
    return (scale[:, :, None] * rows * sign).reshape(n, 256)
