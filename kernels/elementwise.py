"""Number by number: sums, products, scales and the gates of feed-forward layers.

silu(x) = x / (1 + exp(-x)) gelu(x) = x / (1 + exp(-2z)),   z = sqrt(2 / pi) (x + 0.044715 x^3)
(the tanh form, 2 * sigmoid(2z) = 1 + tanh z)
gelu_erf(x) = x erfc(-x / sqrt(2)) / 2      (as defined, Hendrycks and Gimpel, 2016)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .erf import erfc, erfc_ref
from .simd import (
    div,
    fma,
    load_f32x16,
    load_first,
    splat,
    store_f32x16,
    store_first,
    vmax,
    vmin,
)
from .tape import Kernel, kernel
from .vmath import exp, tanh

F64 = NDArray[np.float64]
ROOT = 0.7978845608028654  # sqrt(2 / pi)
CUBE = 0.044715
ROOT_HALF = 0.7071067811865476
OAI_LIMIT, OAI_SLOPE = 7.0, 1.702


def silu_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x))


def gelu_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-2 * ROOT * (x + CUBE * x * x * x)))


def gelu_erf_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    return x * (erfc_ref(-ROOT_HALF * x) / 2)


def soft_cap_ref(x: F64, cap: float) -> F64:
    """cap * tanh(x / cap): keeps numbers below `cap` (Gemma 2, 2024)."""
    return cap * np.tanh(x / cap)


def relu_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    return np.maximum(x, 0)


def relu_squared_ref(x: F64) -> F64:
    """x [...] -> [...]."""
    return np.maximum(x, 0) ** 2


def sigmoid_gate_ref(x: F64, y: F64, limit: float = 0.0) -> F64:
    """y / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return y / (1 + np.exp(-x))


def swiglu_oai_ref(x: F64, y: F64, limit: float = 0.0) -> F64:
    """x and y clipped at 7, then x * sigmoid(1.702 x) * (y + 1) (OpenAI, gpt-oss, 2025)."""
    x = np.minimum(x, OAI_LIMIT)
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-OAI_SLOPE * x)) * (np.clip(y, -OAI_LIMIT, OAI_LIMIT) + 1)


def silu_cap_ref(x: F64, y: F64, limit: float) -> F64:
    """min(silu(x), limit) * y, y clipped on both sides."""
    return np.minimum(silu_ref(x), limit) * np.clip(y, -limit, limit)


def cap_silu_ref(x: F64, y: F64, limit: float) -> F64:
    """silu(min(x, limit)) * y, y clipped on both sides."""
    return silu_ref(np.minimum(x, limit)) * np.clip(y, -limit, limit)


def _gate_ref(activation: Callable[[F64], F64]) -> Callable[[F64, F64, float], F64]:
    return lambda x, y, limit: activation(x) * y


@inline
def silu(x):
    return div(x, splat(1.0) + exp(splat(0.0) - x))


@inline
def gelu(x):
    inner = fma(x * x * x, splat(CUBE), x)
    return div(x, splat(1.0) + exp(splat(-2 * ROOT) * inner))


@inline
def gelu_erf(x):
    return x * (splat(0.5) * erfc(splat(-ROOT_HALF) * x))


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
def relu(x):
    return vmax(x, splat(0.0))


@inline
def relu_squared(x):
    positive = vmax(x, splat(0.0))
    return positive * positive


@inline
def _within(x, limit):
    return vmax(vmin(x, limit), splat(0.0) - limit)


@inline
def _clip(x, y, number):
    return _within(x, splat(number))


@inline
def _swiglu_oai_gate(x, y, number):
    top = splat(OAI_LIMIT)
    capped = vmin(x, top)
    sigmoid = div(splat(1.0), splat(1.0) + exp(splat(-OAI_SLOPE) * capped))
    return capped * sigmoid * (_within(y, top) + splat(1.0))


@inline
def _silu_cap_gate(x, y, number):
    return vmin(silu(x), splat(number)) * _within(y, splat(number))


@inline
def _cap_silu_gate(x, y, number):
    return silu(vmin(x, splat(number))) * _within(y, splat(number))


@inline
def _sigmoid_gate(x, y, number):
    return div(y, splat(1.0) + exp(splat(0.0) - x))


def _gate(function):
    return inline(lambda x, y, number: function(x) * y)


def _alone(function):
    return inline(lambda x, y, number: function(x))


def elementwise(name: str, function: Any) -> Kernel:
    """A kernel out = function(x, y, number) over `rows` rows of `dim`; a stride of 0 repeats one
    row of y.
    """

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


@kernel("join")
def join(part, parts, thread, x, y, out, rows, n, m, stride_x, stride_y):
    """x [rows, n] beside y [rows, m] -> out [rows, n + m]; rows lie `stride` bytes apart."""
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        a, b, to = x + row * stride_x, y + row * stride_y, out + 4 * row * (n + m)
        for i in range(0, n, 16):
            store_first(to + 4 * i, load_first(a + 4 * i, min(16, n - i)), min(16, n - i))
        for i in range(0, m, 16):
            store_first(to + 4 * (n + i), load_first(b + 4 * i, min(16, m - i)), min(16, m - i))


add = elementwise("add", _add)
multiply = elementwise("multiply", _multiply)
scale = elementwise("scale", _scale)
soft_cap = elementwise("soft_cap", _soft_cap)
clip = elementwise("clip", _clip)
_PLAIN = {
    "silu": (silu_ref, silu),
    "gelu": (gelu_ref, gelu),
    "gelu_erf": (gelu_erf_ref, gelu_erf),
    "relu": (relu_ref, relu),
    "relu_squared": (relu_squared_ref, relu_squared),
}
ACTIVATIONS: dict[str, tuple[Callable[[F64], F64], Kernel]] = {
    name: (ref, elementwise(name, _alone(function))) for name, (ref, function) in _PLAIN.items()
}
GATES: dict[str, tuple[Callable[[F64, F64, float], F64], Kernel]] = {
    name: (_gate_ref(ref), elementwise(f"{name}_gate", _gate(function)))
    for name, (ref, function) in _PLAIN.items()
} | {
    "sigmoid": (sigmoid_gate_ref, elementwise("sigmoid_gate", _sigmoid_gate)),
    "swiglu_oai": (swiglu_oai_ref, elementwise("swiglu_oai_gate", _swiglu_oai_gate)),
    "silu_cap": (silu_cap_ref, elementwise("silu_cap_gate", _silu_cap_gate)),
    "cap_silu": (cap_silu_ref, elementwise("cap_silu_gate", _cap_silu_gate)),
}
