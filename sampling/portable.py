"""exp, log, powers and sums made of + - * / alone, so that every machine gets the same bits.

IEEE basic operations in a written order; exp is a kernel (`kernels/exp64.py`). exp and log err by
less than 2 units in the last place.
"""

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LN2 = 0.6931471805599453
# In two parts, the first of 32 bits: its products with an exponent are exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LANES = 4096


def exp(x: F64) -> F64:
    """e ** x for each x; 0 below -708 and infinite above 709 (no subnormal results)."""
    from ..kernels.exp64 import exp as of_each  # chooses the instruction set: GNOMON_ISA is read

    return of_each(x)


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
    return e * _LN2_HIGH + (2.0 * s + (2.0 * s * series + e * _LN2_LOW))


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
