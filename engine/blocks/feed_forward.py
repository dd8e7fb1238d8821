"""Feed-forward layers: down(a(gate(x)) * up(x)), gate and up apart or as one, or down(a(up(x)))."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arch import Clamp, FeedForward, Gate
from .layer import Array, Layer, row_mean

CLAMPED = {Clamp.ACTIVATED: "silu_cap", Clamp.GATE: "cap_silu"}
NO_LIMIT = 1e-6
LEAST = 1e-12  # variance, so that a row of equal numbers has no tail
F64 = NDArray[np.float64]


def dense(layer: Layer, h: Array) -> Array:
    """h [rows, embedding] -> [rows, embedding]."""
    if layer.arch.feed_forward is FeedForward.BARE:
        return layer.ops.activate(layer.arch.gate.value, h)
    limit = layer.spec.experts.clamps[1] if layer.spec.experts else 0.0
    hidden = _hidden(layer, h, "ffn_gate", "ffn_up", limit)
    hidden = layer.norm("ffn_sub_norm", hidden) if layer.arch.inner_norms else hidden
    return layer.linear("ffn_down", hidden)


def shared(layer: Layer, h: Array, limit: float) -> Array:
    """The experts that every row uses, as one feed-forward layer."""
    out = layer.linear("ffn_down_shexp", _hidden(layer, h, "ffn_gate_shexp", "ffn_up_shexp", limit))
    if layer.w.ffn_gate_inp_shexp is None:
        return out
    ops, gate = layer.ops, layer.linear("ffn_gate_inp_shexp", h)  # [rows, 1]
    share = ops.gate("sigmoid", gate, np.ones(1, ops.number))
    return ops.combine(out.reshape(len(out), 1, -1), share)


def _hidden(layer: Layer, h: Array, gate_name: str, up_name: str, limit: float) -> Array:
    ops, kind = layer.ops, layer.arch.gate.value
    up = layer.linear(up_name, h)
    if layer.arch.feed_forward is FeedForward.PLAIN:
        own = layer.arch.gate is Gate.XIELU
        return _scaled(layer, _xielu(layer, up) if own else ops.activate(kind, up))
    if getattr(layer.w, gate_name, None) is None:
        half = up.shape[1] // 2
        gate, up = ops.columns(up, 0, half), ops.columns(up, half, 2 * half)
    else:
        gate = layer.linear(gate_name, h)
    return activated(layer, gate, up, limit)


def _xielu(layer: Layer, x: Array) -> Array:
    """p x^2 + beta x above 0, n (exp(min(x, eps)) - 1 - x) + beta x below (Huang, 2024)."""
    alpha_n, alpha_p, beta, eps = layer.spec.xielu or (0.0, 0.0, 0.0, 0.0)
    p, n = np.logaddexp(0, alpha_p), beta + np.logaddexp(0, alpha_n)

    def activate(x: F64) -> F64:
        below = n * (np.expm1(np.minimum(x, eps)) - x)
        out: F64 = np.where(x > 0, p * x * x, below) + beta * x
        return out

    return layer.ops.twin(activate, x.shape, x)


def activated(layer: Layer, gate: Array, up: Array, limit: float) -> Array:
    """a(gate) * up, clipped if there is a limit."""
    kind = layer.arch.gate
    if kind is Gate.SITU:
        return _situ(layer, gate, up)
    if kind is Gate.GELU_OF_TAIL:
        return layer.ops.gate("gelu", tail(layer, gate), up)
    if kind is Gate.SILU and limit > NO_LIMIT:
        return layer.ops.gate(CLAMPED[layer.arch.clamp], gate, up, limit)
    return layer.ops.gate(kind.value, gate, up)


def tail(layer: Layer, x: Array) -> Array:
    """max(0, x - mean - z deviation) of each row, in layers that have a z (Gemma 3n, 2025)."""
    ops, z, (rows, n) = layer.ops, layer.spec.tail, x.shape
    if z is None:
        return x
    # In units of the deviation over n; the formula's is over n - 1.
    unit = ops.layer_norm(x, None, None, LEAST)
    deviation = row_mean(ops, ops.multiply(x, unit))
    begin = np.full(n, -z * (n / max(1, n - 1)) ** 0.5, ops.number)
    above = ops.activate("relu", ops.add(unit, begin))
    return ops.combine(above.reshape(rows, 1, n), deviation)


def _situ(layer: Layer, gate: Array, up: Array) -> Array:
    """sigmoid(gate) * b tanh(gate / b) * c tanh(up / c); c 0: up as it is (Kimi K3, 2026)."""
    ops, given = layer.ops, layer.hparams.given
    b, c = given["activation.situ_beta"], given["activation.situ_linear_beta"]
    hidden = ops.gate("sigmoid", gate, ops.soft_cap(gate, b))
    return ops.multiply(hidden, ops.soft_cap(up, c) if c > 0 else up)


def _scaled(layer: Layer, x: Array) -> Array:
    """Activations divided by the file's scales, if it has any."""
    scales = getattr(layer.w, "ffn_act_scales", None)
    return x if scales is None else layer.ops.multiply(x, (1 / scales).astype(scales.dtype))
