"""Number by number: sums, products, scales and the gates of feed-forward layers.

silu(x) = x / (1 + exp(-x))
gelu(x) = x / (1 + exp(-2z)),   z = sqrt(2 / pi) (x + 0.044715 x^3)      (the tanh form, 2 * sigmoid(2z) = 1 + tanh z)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .simd import div, fma, load_f32x16, load_first, splat, store_f32x16, store_first
from .tape import Kernel
from .vmath import exp, tanh

F64 = NDArray[np.float64]
ROOT = 0.7978845608028654  # sqrt(2 / pi)
CUBE = 0.044715


def silu_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x))


def gelu_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-2 * ROOT * (x + CUBE * x * x * x)))


def soft_cap_ref(x: F64, cap: float) -> F64:
    """cap * tanh(x / cap): keeps numbers below `cap` (Gemma 2, 2024)."""
    return cap * np.tanh(x / cap)


@inline
def silu(x):
    return div(x, splat(1.0) + exp(splat(0.0) - x))


@inline
def gelu(x):
    inner = fma(x * x * x, splat(CUBE), x)
    return div(x, splat(1.0) + exp(splat(-2 * ROOT) * inner))


@inline
def _add(x, y, number):
    return x + y


@inline
def _multiply(x, y, number):
    return x * y


@inline
def _scale(x, y, number):
    return x * splat(number)


@inline
def _soft_cap(x, y, number):
    return splat(number) * tanh(div(x, splat(number)))


@inline
def _silu_gate(x, y, number):
    return silu(x) * y


@inline
def _gelu_gate(x, y, number):
    return gelu(x) * y


def elementwise(name: str, function: Any) -> Kernel:
    """A kernel out = function(x, y, number) over `rows` rows of `dim`; a stride of 0 repeats one row of y."""

    def body(part, parts, thread, x, y, out, rows, dim, stride_x, stride_y, number: float):
        whole, left = dim // 16, dim % 16
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            a, b, to = x + row * stride_x, y + row * stride_y, out + 4 * row * dim
            for i in range(whole):
                v = function(load_f32x16(a + 64 * i), load_f32x16(b + 64 * i), number)
                store_f32x16(to + 64 * i, v)
            if left:
                u, v = load_first(a + 64 * whole, left), load_first(b + 64 * whole, left)
                store_first(to + 64 * whole, function(u, v, number), left)

    return Kernel(f"elementwise_{name}", body)


add = elementwise("add", _add)
multiply = elementwise("multiply", _multiply)
scale = elementwise("scale", _scale)
soft_cap = elementwise("soft_cap", _soft_cap)
silu_gate = elementwise("silu_gate", _silu_gate)
gelu_gate = elementwise("gelu_gate", _gelu_gate)
GATES: dict[str, tuple[Callable[[F64], F64], Kernel]] = {
    "silu": (silu_ref, silu_gate),
    "gelu": (gelu_ref, gelu_gate),
}
