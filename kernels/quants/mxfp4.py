"""MXFP4: y = 2**(e - 128) * LEVELS[q], q in 0..15. 32 weights in 17 bytes, 4.25 bits each.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0    | e     | u8    | exponent of the scale (E8M0, bias 127)      |
    |  1-16 | qs    | 16 u8 | byte j: q[j] in bits 0-3, q[j+16] in 4-7    |
    +-------+-------+-------+---------------------------------------------+

LEVELS are the E2M1 values doubled, hence bias 128. As in ggml, e = 255 is 2**127, not NaN.
float32: one product of 2**(e - 128), subnormal for e < 2, and LEVELS[q]; exact, Inf past the range.
"""

import numpy as np

from .fields import F32, U8, planes, quiet

# E2M1: sign, two bits of exponent, one of mantissa, doubled to be whole. Code 8 is +0, not -0.
LEVELS: F32 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], dtype=np.float32)


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise MXFP4: U8[n, 17] -> F32[n, 32]."""
    q = planes(blocks[:, 1:], width=16, bits=4)
    return half_e8m0(blocks[:, :1]) * LEVELS[q]


def half_e8m0(e: U8) -> F32:
    """Decode E8M0 exponents, halved: y = 2**(e - 128), the same shape, exact."""
    return np.ldexp(np.float32(1), e.astype(np.int32) - 128)
