"""exp, log, powers and sums made of + - * / alone, so that every machine gets the same bits.

IEEE basic operations in a written order; exp is a kernel (`kernels/exp64.py`). exp and log err by
less than 2 units in the last place.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..kernels.exp64 import LN2_HIGH, LN2_LOW, exp

__all__ = ["exp", "exp_number", "log", "power", "total"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LN2 = 0.6931471805599453
_LANES = 4096


def log(x: float) -> float:
    """Natural logarithm: ln(m 2**e) = e ln 2 + 2 atanh((m - 1) / (m + 1)), m in [0.7, 1.42)."""
    if x <= 0.0:
        if x == 0.0:
            return -math.inf
        raise ValueError(f"log of {x}: expected a number >= 0")
    if x == math.inf:
        return math.inf
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m, e = m * 2.0, e - 1
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = 0.0
    for odd in range(23, 1, -2):
        series = (series + 1.0 / odd) * square
    return e * LN2_HIGH + (2.0 * s + (2.0 * s * series + e * LN2_LOW))


def exp_number(x: float) -> float:
    """e ** x of one number, by the same steps as `exp`."""
    return float(exp(np.array([x]))[0])


def power(base: float, exponent: int) -> float:
    """base ** exponent for exponent >= 0, by squaring."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        exponent >>= 1
        base *= base
    return result


def total(x: F64) -> float:
    """Sum in a fixed order: lane i adds x[i], x[i + 4096], ..., then the lanes left to right."""
    if x.size == 0:
        return 0.0
    if x.size <= _LANES:
        return float(np.cumsum(x)[-1])
    whole = x.size // _LANES * _LANES
    lanes = np.zeros(_LANES)
    for row in x[:whole].reshape(-1, _LANES):
        lanes += row
    lanes[: x.size - whole] += x[whole:]
    return float(np.cumsum(lanes)[-1])
