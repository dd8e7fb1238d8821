"""I8, I16, I32, I64 as float32: y = x. A "block" is one two's complement number, low byte first.

float32: exact below 2**24 in magnitude, beyond it rounded to nearest, ties to even.
"""

import numpy as np

from .fields import F32, U8


def i8_ref(blocks: U8) -> F32:
    """Convert I8: U8[n, 1] -> F32[n, 1]."""
    return np.ascontiguousarray(blocks).view(np.int8).astype(np.float32)


def i16_ref(blocks: U8) -> F32:
    """Convert I16: U8[n, 2] -> F32[n, 1]."""
    return np.ascontiguousarray(blocks).view("<i2").astype(np.float32)


def i32_ref(blocks: U8) -> F32:
    """Convert I32: U8[n, 4] -> F32[n, 1]."""
    return np.ascontiguousarray(blocks).view("<i4").astype(np.float32)


def i64_ref(blocks: U8) -> F32:
    """Convert I64: U8[n, 8] -> F32[n, 1]."""
    return np.ascontiguousarray(blocks).view("<i8").astype(np.float32)
