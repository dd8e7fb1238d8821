"""NVFP4: y = scale * LEVELS[q], q in 0..15. 64 weights in 36 bytes, 4.5 bits each.

Weights 16*g to 16*g+15 share scale[g]. LEVELS are MXFP4's doubled ones, so scales are halved.
A file may hold a second, per-tensor scale as a tensor of its own: not part of the block.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0- 3 | d     | 4 u8  | byte g: scale[g] as UE4M3                   |
    |  4-35 | qs    | 32 u8 | four runs of 8 bytes, 16 weights each:      |
    |       |       |       | byte j of a run: q[j] in bits 0-3,          |
    |       |       |       | q[j+8] in 4-7                               |
    +-------+-------+-------+---------------------------------------------+

float32: one product scale[g] * LEVELS[q] (exact: 4 + 4 bits).
"""

import numpy as np

from .fields import F32, U8, groups, planes, quiet
from .mxfp4 import LEVELS


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise NVFP4: U8[n, 36] -> F32[n, 64]."""
    scale = half_ue4m3(blocks[:, :4])
    levels = groups(LEVELS[planes(blocks[:, 4:], width=8, bits=4)], 16)
    return (scale[:, :, None] * levels).reshape(len(blocks), 64)


def half_ue4m3(code: U8) -> F32:
    """Decode UE4M3 scales, halved, the same shape: 4 bits of exponent (bias 7), 3 of mantissa.

    Exact. As in ggml: bit 7 is ignored, save that 0x7F (a NaN in the standard) is 0 and 0xFF 240.
    """
    exponent = (code >> np.uint8(3) & np.uint8(15)).astype(np.int32)
    mantissa = (code & np.uint8(7)).astype(np.float32)
    leading = np.where(exponent == 0, np.float32(0), np.float32(8))
    value = np.ldexp(mantissa + leading, np.maximum(exponent, 1) - 11)
    return np.where(code == 0x7F, np.float32(0), value)
