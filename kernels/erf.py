"""erfc on 16 lanes, in three ranges of z = |x|, each a polynomial:

    erfc(z) = 1 - z T(z^2)              z < 1
            = exp(-z^2) P(1/z^2) / z    1 <= z < 2
            = exp(-z^2) R(1/z^2) / z    2 <= z

and erfc(-z) = 2 - erfc(z). The coefficients are the Cephes library's (S. Moshier, erff and erfcf;
netlib.org/cephes).
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import inline
from .simd import div, exceeds, fma, select, splat, vabs, vmax
from .vmath import exp

_erfc = np.frompyfunc(math.erfc, 1, 1)


def erfc_ref(x):
    """erfc in float64."""
    return np.asarray(_erfc(np.asarray(x, np.float64)), np.float64)


@inline
def _near(z):
    """1 - z T(z^2)."""
    y = z * z
    p = fma(splat(7.853861353153693e-5), y, splat(-8.010193625184903e-4))
    p = fma(p, y, splat(5.188327685732524e-3))
    p = fma(p, y, splat(-2.685381193529856e-2))
    p = fma(p, y, splat(1.128358514861418e-1))
    p = fma(p, y, splat(-3.761262582423300e-1))
    p = fma(p, y, splat(1.128379165726710))
    return fma(splat(0.0) - p, z, splat(1.0))


@inline
def _middle(y):
    """P(y)."""
    p = fma(splat(2.326819970068386e-2), y, splat(-1.387039388740657e-1))
    p = fma(p, y, splat(3.687424674597105e-1))
    p = fma(p, y, splat(-5.824733027278666e-1))
    p = fma(p, y, splat(6.210004621745983e-1))
    p = fma(p, y, splat(-4.944515323274145e-1))
    p = fma(p, y, splat(3.404879937665872e-1))
    p = fma(p, y, splat(-2.741127028184656e-1))
    return fma(p, y, splat(5.638259427386472e-1))


@inline
def _far(y):
    """R(y)."""
    p = fma(splat(-1.047766399936249e1), y, splat(1.297719955372516e1))
    p = fma(p, y, splat(-7.495518717768503))
    p = fma(p, y, splat(2.921019019210786))
    p = fma(p, y, splat(-1.015265279202700))
    p = fma(p, y, splat(4.218463358204948e-1))
    p = fma(p, y, splat(-2.820767439740514e-1))
    return fma(p, y, splat(5.641895067754075e-1))


@inline
def erfc(x):
    """erfc(x); the smallest values end in 0 as exp does."""
    z = vabs(x)
    inverse = div(splat(1.0), vmax(z, splat(1.0)))
    y = inverse * inverse
    tail = select(exceeds(splat(2.0), z), _middle(y), _far(y))
    tail = exp(splat(0.0) - z * z) * inverse * tail
    whole = select(exceeds(splat(1.0), z), _near(z), tail)
    return select(exceeds(splat(0.0), x), splat(2.0) - whole, whole)
