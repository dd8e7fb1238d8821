"""F32, F16, BF16, F64 as float32: y = x. A "block" is one number.

    +------+-------+------------------------------------------------------+
    | type | bytes | bits, high to low                                    |
    +------+-------+------------------------------------------------------+
    | F32  |   4   | sign, 8 exponent, 23 mantissa                        |
    | F16  |   2   | sign, 5 exponent, 10 mantissa                        |
    | BF16 |   2   | sign, 8 exponent, 7 mantissa: the top half of an F32 |
    | F64  |   8   | sign, 11 exponent, 52 mantissa                       |
    +------+-------+------------------------------------------------------+

float32: exact, save F64, which rounds to nearest, ties to even, and to Inf past the range.
"""

import numpy as np

from .fields import F32, U8, f16, f32, quiet, u16


def f32_ref(blocks: U8) -> F32:
    """Copy F32: U8[n, 4] -> F32[n, 1]."""
    return f32(blocks, 0)


@quiet
def f16_ref(blocks: U8) -> F32:
    """Widen F16: U8[n, 2] -> F32[n, 1]."""
    return f16(blocks, 0)


def bf16_ref(blocks: U8) -> F32:
    """Widen BF16: U8[n, 2] -> F32[n, 1]."""
    return (u16(blocks, 0, 1).astype(np.uint32) << np.uint32(16)).view(np.float32)


@quiet
def f64_ref(blocks: U8) -> F32:
    """Round F64: U8[n, 8] -> F32[n, 1]."""
    return np.ascontiguousarray(blocks).view("<f8").astype(np.float32)
