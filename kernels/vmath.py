"""exp, tanh and their kin on 16 lanes, from additions and multiplications alone: no libm decides a
bit.

    exp(x) = 2^n exp(r),   n = round(x / ln 2),   |r| <= ln(2) / 2

The polynomials are those of the Cephes library (S. Moshier, expf, tanhf; netlib.org/cephes); exp is
within 2 units in the last place, tanh within 3.
"""

from __future__ import annotations

import numpy as np

from ._jit import inline
from .simd import (
    as_f32,
    div,
    exceeds,
    fma,
    isplat,
    rint,
    select,
    shift_left,
    splat,
    to_i32,
    vabs,
    vmax,
    vmin,
)

LOG2_E = 1.44269504088896341
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
LN_2 = 0.69314718055994531
EXP_LOW, EXP_HIGH = -87.3, 88.3


def exp_ref(x):
    """exp in float64."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(x, np.float64))


@inline
def exp(x):
    """exp(x); 0 below -87.3, and the value at 88.3 above it."""
    inside = vmin(splat(EXP_HIGH), vmax(splat(EXP_LOW), x))
    n = rint(inside * splat(LOG2_E))
    r = fma(n, splat(-LN2_HIGH), inside)
    r = fma(n, splat(-LN2_LOW), r)
    p = fma(splat(1.9875691500e-4), r, splat(1.3981999507e-3))
    p = fma(p, r, splat(8.3334519073e-3))
    p = fma(p, r, splat(4.1665795894e-2))
    p = fma(p, r, splat(1.6666665459e-1))
    p = fma(p, r, splat(5.0000001201e-1))
    p = fma(p, r * r, r) + splat(1.0)
    power = as_f32(shift_left(to_i32(n) + isplat(127), 23))
    return select(exceeds(splat(EXP_LOW), x), splat(0.0), p * power)


@inline
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return div(splat(1.0), splat(1.0) + exp(splat(0.0) - x))


@inline
def softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + u), u = exp(-|x|), by Cephes' polynomial of logf."""
    u = exp(splat(0.0) - vabs(x))
    large = exceeds(u, splat(0.41421356237))
    z = select(large, (u - splat(1.0)) * splat(0.5), u)
    p = fma(splat(7.0376836292e-2), z, splat(-1.1514610310e-1))
    p = fma(p, z, splat(1.1676998740e-1))
    p = fma(p, z, splat(-1.2420140846e-1))
    p = fma(p, z, splat(1.4249322787e-1))
    p = fma(p, z, splat(-1.6668057665e-1))
    p = fma(p, z, splat(2.0000714765e-1))
    p = fma(p, z, splat(-2.4999993993e-1))
    p = fma(p, z, splat(3.3333331174e-1))
    square = z * z
    log = fma(splat(-0.5), square, p * square * z) + z
    return vmax(x, splat(0.0)) + log + select(large, splat(LN_2), splat(0.0))


@inline
def tanh(x):
    """tanh(x): an odd polynomial up to 0.625, from exp beyond."""
    size = vabs(x)
    z = x * x
    p = fma(splat(-5.70498872745e-3), z, splat(2.06390887954e-2))
    p = fma(p, z, splat(-5.37397155531e-2))
    p = fma(p, z, splat(1.33314422036e-1))
    p = fma(p, z, splat(-3.33332819422e-1))
    small = fma(p * z, x, x)
    large = splat(1.0) - div(splat(2.0), exp(size + size) + splat(1.0))
    signed = select(exceeds(splat(0.0), x), splat(0.0) - large, large)
    return select(exceeds(splat(0.625), size), small, signed)
