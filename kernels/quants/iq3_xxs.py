"""IQ3_XXS: y = ((d * (scale + 1/2)) / 2) * grid[code][i] * sign. 256 weights in 98 bytes.

Weights 32*g to 32*g+31 share scale[g] (0..15); weights 4*k to 4*k+3 are one row of the grid of
256 rows of 4, 12, 20, 28, 36, 44, 52, 62, chosen by code[k]; eight weights share a 7-bit sign
code (the eighth sign makes the number of minuses even).

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 1 | d     | f16   | scale of the scales                         |
    |  2-65 | qs    | 64 u8 | byte k: code[k]                             |
    | 66-97 |       | 8 u32 | word g: bits 7*l to 7*l+6 (l = 0..3): signs |
    |       |       |       | of the weights from 32*g + 8*l; 28-31:      |
    |       |       |       | scale[g]                                    |
    +-------+-------+-------+---------------------------------------------+

float32: a = d * (scale + 1/2), b = a * 1/2, c = b * grid, c * sign (all exact: 11 + 5 + 5 bits).
"""

import numpy as np

from .fields import F32, U8, even_signs, f16, groups, quiet, u32
from .grids import grid_rows


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise IQ3_XXS: U8[n, 98] -> F32[n, 256]."""
    n = len(blocks)
    words = u32(blocks, 66, 8)
    sign_codes = words[:, :, None] >> np.array([0, 7, 14, 21], dtype=np.uint32)
    sign = groups(even_signs(sign_codes.reshape(n, 32)), 32)
    half = (words >> np.uint32(28)).astype(np.float32) + np.float32(0.5)
    scale = f16(blocks, 0) * half * np.float32(0.5)
    rows = grid_rows("iq3_xxs", blocks[:, 2:66], 32)
    return (scale[:, :, None] * rows * sign).reshape(n, 256)
