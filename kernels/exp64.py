"""e ** x in float64 from + - * alone, so that every machine gets the same bits.

    e**x = 2**k * e**r,   r = x - k ln 2,   |r| <= ln(2) / 2,   e**r by its Taylor polynomial

The exponential of a C library or of NumPy differs in its last bit between processors, and one bit
can decide a token. It errs by less than 2 units in the last place, is 0 below -708 and infinite
above 709 (no subnormal results).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from ._jit import DISABLED
from .simd import load_f64, load_f64x8, store_f64, store_f64x8
from .tape import kernel
from .trace import I64, f64, f64x8, primitive

F64 = NDArray[np.float64]
LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has 32 bits, so its products with an exponent are exact.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOWEST, HIGHEST = -708.0, 709.0
TAYLOR = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))
MAGIC = 1.5 * 2.0**52  # x + this - this is x rounded to a whole number, halves to even
PIECE = 16384  # numbers that stay in the cache: a third of the time of one piece


def exp_ref(x: F64) -> F64:
    """e ** x for each x [count]."""
    out = np.empty(x.shape, dtype=np.float64)
    for start in range(0, x.size, PIECE):
        _exp_piece(x[start : start + PIECE], out[start : start + PIECE])
    return out


def _exp_piece(x: F64, out: F64) -> None:
    inside = np.minimum(np.maximum(x, LOWEST), HIGHEST)
    k = np.rint(inside * LOG2_E)
    inside -= k * LN2_HIGH
    inside -= k * LN2_LOW
    out[...] = TAYLOR[0]
    for coefficient in TAYLOR[1:]:
        out *= inside
        out += coefficient
    # 2**k is written as its exponent bits: exact, k is within -1021 .. 1023.
    out *= ((k.astype(np.int64) + 1023) << 52).view(np.float64)
    out[x < LOWEST] = 0.0
    out[x > HIGHEST] = np.inf


def _lower_exp(b: Any, x: Any) -> Any:
    """The same of one number or of a vector."""
    count = getattr(x.type, "count", 0)
    whole = ir.VectorType(I64, count) if count else I64

    def number(value: float, kind: Any = x.type) -> Any:
        return ir.Constant(kind, [value] * count if count else value)

    def either(sign: str, bound: float, then: float, x: Any, other: Any) -> Any:
        return b.select(b.fcmp_ordered(sign, x, number(bound)), number(then), other)

    inside = either(">", HIGHEST, HIGHEST, x, either("<", LOWEST, LOWEST, x, x))
    magic = b.fadd(b.fmul(inside, number(LOG2_E)), number(MAGIC))  # k is in its lowest bits
    k = b.fsub(magic, number(MAGIC))
    r = b.fsub(inside, b.fmul(k, number(LN2_HIGH)))
    r = b.fsub(r, b.fmul(k, number(LN2_LOW)))
    total = number(TAYLOR[0])
    for coefficient in TAYLOR[1:]:
        total = b.fadd(b.fmul(total, r), number(coefficient))
    exponent = b.add(b.bitcast(magic, whole), number(1023, whole))
    power = b.bitcast(b.shl(exponent, number(52, whole)), x.type)
    known = either("<", LOWEST, 0.0, x, b.fmul(total, power))
    return either(">", HIGHEST, math.inf, x, known)


exp_of = primitive(f64, (f64,), _lower_exp)(lambda x: exp_ref(np.array([x]))[0])
exp_of_8 = primitive(f64x8, (f64x8,), _lower_exp)(exp_ref)


@kernel("exp64")
def exp64(part, parts, thread, x, out, count):
    """e ** x of `count` float64."""
    whole = count // 8 * 8
    for i in range(0, whole, 8):
        store_f64x8(out + 8 * i, exp_of_8(load_f64x8(x + 8 * i)))
    for i in range(whole, count):
        store_f64(out + 8 * i, exp_of(load_f64(x + 8 * i)))


def exp(x: F64) -> F64:
    """e ** x for each x, of any shape; NaN is not expected."""
    if DISABLED:
        return exp_ref(x)
    x = np.ascontiguousarray(x, dtype=np.float64)
    out = np.empty(x.shape)
    exp64.run(0, 1, x, out, x.size)
    return out
