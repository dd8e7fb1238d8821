"""Gated delta rule (Yang et al., 2024; by channel in Kimi Delta Attention, 2025), token by token.

    q, k: unit length, q / sqrt(dim);   beta = sigmoid(b)
    s = decay s,   s' = s + beta (v - s k) k^T,   y = s' q

Per head: s is [value, key]; decay is one number or one per key channel. Heads share queries and
keys in groups, either in turn (head h takes h modulo groups) or side by side (h over a group's
heads).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .recurrence import Recurrence, State, row_bytes, shares
from .simd import (
    fma,
    load_f32,
    load_first,
    load_i64,
    max_lanes,
    splat,
    sqrt,
    store_f32,
    store_first,
    sum_lanes,
)
from .tape import Tape, kernel
from .vmath import sigmoid

F64 = NDArray[np.float64]


def unit_ref(x: F64, epsilon: F64) -> F64:
    """x [..., dim] / sqrt(x . x + epsilon)."""
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True) + epsilon)


def delta_rule_ref(
    state: F64, q: F64, k: F64, v: F64, decay: F64, b: F64, epsilon: F64
) -> tuple[F64, F64]:
    """state [heads, value, key], q, k [groups, key], v [heads, value], decay [heads, n], b."""
    times = len(v) // len(q)
    q = np.tile(unit_ref(q, epsilon), (times, 1)) / np.sqrt(q.shape[-1])
    k = np.tile(unit_ref(k, epsilon), (times, 1))
    state = state * decay[:, None]
    error = (v - np.einsum("hvk,hk->hv", state, k)) / (1 + np.exp(-b))[:, None]
    state = state + error[:, :, None] * k[:, None]
    return np.einsum("hvk,hk->hv", state, q), state


def delta_rule_side_by_side_ref(
    state: F64, q: F64, k: F64, v: F64, decay: F64, b: F64, epsilon: F64
) -> tuple[F64, F64]:
    """The same, where neighbouring heads share a query and a key."""
    times = len(v) // len(q)
    q, k = np.repeat(q, times, axis=0), np.repeat(k, times, axis=0)
    return delta_rule_ref(state, q, k, v, decay, b, epsilon)


@inline
def squares(x, dim):
    """x . x, in 16 lanes, then as a tree."""
    total = splat(0.0)
    for j in range(0, dim, 16):
        u = load_first(x + 4 * j, min(16, dim - j))
        total = fma(u, u, total)
    return sum_lanes(total)


@kernel("delta_rule")
def delta_rule(
    part, parts, thread, q, k, v, decay, b, states, out, rows, heads, groups, dim, key, decays,
    beside, offset, q_stride, k_stride, v_stride, decay_stride, b_stride, epsilon: float,
):  # fmt: skip
    """Each head's rows in order. The lengths of q and k are divided out of the sums they enter."""
    for head in range(heads * part // parts, heads * (part + 1) // parts):
        group = head // (heads // groups) if beside else head % groups
        at = offset + 4 * head * dim * key
        for row in range(rows):
            source, target = load_i64(states + 16 * row) + at, load_i64(states + 16 * row + 8) + at
            qs, ks = q + row * q_stride + 4 * group * key, k + row * k_stride + 4 * group * key
            vs = v + row * v_stride + 4 * head * dim
            factors = decay + row * decay_stride + 4 * head * decays
            beta = max_lanes(sigmoid(splat(load_f32(b + row * b_stride + 4 * head))))
            one = np.float32(1)
            q_scale = one / sqrt((squares(qs, key) + epsilon) * np.float32(key))
            k_scale = one / sqrt(squares(ks, key) + epsilon)
            factor = splat(load_f32(factors))
            for i in range(dim):
                total = splat(0.0)
                for j in range(0, key, 16):
                    count, place = min(16, key - j), 4 * (i * key + j)
                    if decays > 1:
                        factor = load_first(factors + 4 * j, count)
                    s = factor * load_first(source + place, count)
                    store_first(target + place, s, count)
                    total = fma(s, load_first(ks + 4 * j, count), total)
                error = (load_f32(vs + 4 * i) - sum_lanes(total) * k_scale) * beta
                change, total = splat(error * k_scale), splat(0.0)
                for j in range(0, key, 16):
                    count, place = min(16, key - j), 4 * (i * key + j)
                    u = load_first(ks + 4 * j, count)
                    s = fma(change, u, load_first(target + place, count))
                    store_first(target + place, s, count)
                    total = fma(s, load_first(qs + 4 * j, count), total)
                store_f32(out + 4 * ((row * heads + head) * dim + i), sum_lanes(total) * q_scale)


def _emit(
    beside: bool,
    tape: Tape,
    threads: int,
    state: State,
    inputs: Sequence[Any],
    weights: Sequence[Any],
    out: Any,
) -> None:
    heads, dim, key = state.shape
    groups, decays = inputs[0].shape[1], inputs[3].shape[2]
    strides = [row_bytes(array) for array in inputs]
    values = (
        *inputs, state.rows, out, len(out), heads, groups, dim, key, decays, int(beside),
        state.offset, *strides, weights[0],
    )  # fmt: skip
    parts = shares(heads, len(out) * heads * dim * key, threads)
    tape.emit(delta_rule, parts, values, inputs, [out])


DELTA_RULE = Recurrence(delta_rule_ref, partial(_emit, False))
DELTA_RULE_SIDE_BY_SIDE = Recurrence(delta_rule_side_by_side_ref, partial(_emit, True))
