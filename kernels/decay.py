"""By what a delta rule's state is multiplied: x [rows, heads * n], dt [heads * n], a [heads].

softplus   exp(a softplus(x + dt))               bound 0; a < 0
bounded    exp(bound sigmoid(sign a (x + dt)))   bound < 0
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .simd import load_f32, load_first, splat, store_first
from .tape import kernel
from .vmath import exp, sigmoid, softplus

F64 = NDArray[np.float64]


def decay_ref(x: F64, dt: F64, a: F64, bound: float, sign: float) -> F64:
    """x [rows, heads * n], dt [heads * n], a [heads] -> [rows, heads, n]."""
    rates = a.reshape(1, -1, 1)
    inner = (x + dt).reshape(len(x), rates.shape[1], -1)
    if not bound:
        return np.exp(rates * np.logaddexp(0, inner))
    with np.errstate(over="ignore"):
        return np.exp(bound / (1 + np.exp(-sign * rates * inner)))


@kernel("decay")
def decay(
    part, parts, thread, x, dt, a, out, rows, heads, n, stride, bound: float, sign: float
):  # fmt: skip
    """One row and head at a time."""
    for unit in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
        row, head = unit // heads, unit % heads
        rate = splat(load_f32(a + 4 * head))
        for j in range(0, n, 16):
            at, count = 4 * (head * n + j), min(16, n - j)
            inner = load_first(x + row * stride + at, count) + load_first(dt + at, count)
            if bound < 0:
                g = splat(bound) * sigmoid(splat(sign) * rate * inner)
            else:
                g = rate * softplus(inner)
            store_first(out + 4 * row * heads * n + at, exp(g), count)
