"""TQ2_0: y = d * (q - 1), q in 0..3 (ggml's own quantiser writes 0..2). 256 weights in 66 bytes.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0-63 | qs    | 64 u8 | two runs of 32 bytes, 128 weights each:     |
    |       |       |       | byte j of a run: q[j] in bits 0-1, q[j+32]  |
    |       |       |       | in 2-3, q[j+64] in 4-5, q[j+96] in 6-7      |
    | 64-65 | d     | f16   | scale                                       |
    +-------+-------+-------+---------------------------------------------+

float32: q - 1 (exact), then one product d * (q - 1) (exact).
"""

import numpy as np

from .fields import F32, U8, f16, planes, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise TQ2_0: U8[n, 66] -> F32[n, 256]."""
    q = planes(blocks[:, :64], width=32, bits=2)
    return f16(blocks, 64) * (q.astype(np.float32) - 1)
