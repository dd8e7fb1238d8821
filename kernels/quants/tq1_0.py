"""TQ1_0: y = d * (t - 1), t in 0..2. 256 weights in 54 bytes, 1.6875 bits each.

A byte b holds five base-3 digits as a fraction of 256: digit k is ((b * 3**k mod 256) * 3) >> 8.

    +-------+-------+-------+---------------------------------------------+
    | bytes | field | type  | holds                                       |
    +-------+-------+-------+---------------------------------------------+
    |  0-31 | qs    | 32 u8 | byte j, digit k (0-4): t[32*k + j]          |
    | 32-47 |       | 16 u8 | byte j, digit k (0-4): t[160 + 16*k + j]    |
    | 48-51 | qh    | 4 u8  | byte j, digit k (0-3): t[240 + 4*k + j]     |
    | 52-53 | d     | f16   | scale                                       |
    +-------+-------+-------+---------------------------------------------+

float32: t - 1 (exact), then one product d * (t - 1) (exact).
"""

import numpy as np

from .fields import F32, U8, f16, quiet


@quiet
def dequantize_ref(blocks: U8) -> F32:
    """Dequantise TQ1_0: U8[n, 54] -> F32[n, 256]."""
    parts = [_trits(blocks[:, :32], 5), _trits(blocks[:, 32:48], 5), _trits(blocks[:, 48:52], 4)]
    return f16(blocks, 52) * (np.concatenate(parts, axis=1) - 1)


def _trits(packed: U8, digits: int) -> F32:
    n, width = packed.shape
    powers = np.array([1, 3, 9, 27, 81], dtype=np.uint8)[:digits, None]
    shifted = packed[:, None, :] * powers  # wraps: mod 256 drops the digits above
    return (shifted.astype(np.uint16) * 3 >> 8).astype(np.float32).reshape(n, digits * width)
