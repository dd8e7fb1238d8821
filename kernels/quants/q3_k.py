"""Q3_K: y = (d * (scale - 32)) * (q - 4), q in 0..7. 256 weights in 110 bytes, 3.4375 bits each.

Weights 16*g to 16*g+15 share scale[g], which is in 0..63.

    +---------+--------+-------+------------------------------------------+
    | bytes   | field  | type  | holds                                    |
    +---------+--------+-------+------------------------------------------+
    |   0- 31 | hmask  | 32 u8 | byte j%32, bit j//32: bit 2 of q[j]      |
    |  32- 95 | qs     | 64 u8 | two runs of 32 bytes, 128 weights each:  |
    |         |        |       | byte j of a run: bits 0-1 of q[j] in 0-1,|
    |         |        |       | q[j+32] in 2-3, q[j+64] in 4-5,          |
    |         |        |       | q[j+96] in 6-7                           |
    |  96-103 | scales | 8 u8  | byte g: bits 0-3 of scale[g] in 0-3,     |
    |         |        |       | of scale[g+8] in 4-7                     |
    | 104-107 |        | 4 u8  | byte g: bits 4-5 of scale[g] in 0-1,     |
    |         |        |       | [g+4] in 2-3, [g+8] in 4-5, [g+12] in 6-7|
    | 108-109 | d      | f16   | scale of the scales                      |
    +---------+--------+-------+------------------------------------------+

float32: a = d * (scale - 32), then a * (q - 4) (both exact: 11 + 5 + 2 bits).
"""

import numpy as np

from .fields import F32, U8, f16, groups, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise Q3_K: U8[n, 110] -> F32[n, 256]."""
    scale = f16(blocks, 108) * (_scales(blocks).astype(np.float32) - 32)
    low = planes(blocks[:, 32:96], width=32, bits=2)
    high = planes(blocks[:, :32], width=32, bits=1)
    q = groups(low | high << np.uint8(2), 16) - 4
    return (scale[:, :, None] * q).reshape(len(blocks), 256)


def _scales(blocks: U8) -> U8:
    low = planes(blocks[:, 96:104], width=8, bits=4)
    high = planes(blocks[:, 104:108], width=4, bits=2)
    return low | high << np.uint8(4)
