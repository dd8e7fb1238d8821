"""Selective state space scan (Mamba: Gu and Dao, 2023; Mamba 2, 2024), one token at a time.

    step = softplus(dt),   s' = exp(step a) s + step x b,   y = s' . c + d x

Per head: x and y have `dim` numbers, s has [dim, n], a is one number or n of them; b and c [n] are
shared by the heads of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recurrence import Recurrence, State, held, row_bytes, shares
from .simd import (
    fma,
    load_f32,
    load_first,
    load_i64,
    splat,
    store_f32,
    store_first,
    sum_lanes,
)
from .tape import Tape, kernel
from .vmath import exp, softplus

F64 = NDArray[np.float64]


def ssm_scan_ref(state: F64, x: F64, dt: F64, b: F64, c: F64, a: F64, d: F64) -> tuple[F64, F64]:
    """state [heads, dim, n], x [heads, dim], b, c [groups, n], a [heads, 1 or n], dt, d [heads]."""
    group = len(x) // len(b)
    b, c = np.repeat(b, group, axis=0), np.repeat(c, group, axis=0)
    step = np.logaddexp(0, dt)
    state = np.exp(step[:, None] * a)[:, None] * state
    state = state + (step[:, None] * x)[:, :, None] * b[:, None]
    return np.einsum("hdn,hn->hd", state, c) + d[:, None] * x, state


@kernel("ssm_scan")
def ssm_scan(
    part, parts, thread, x, dt, b, c, a, d, states, out, rows, heads, dim, n, group, decays, offset,
    x_stride, dt_stride, b_stride, c_stride,
):  # fmt: skip
    """Each head's rows in order; sums over n in 16 lanes, then as a tree."""
    for head in range(heads * part // parts, heads * (part + 1) // parts):
        shared, skip = 4 * n * (head // group), load_f32(d + 4 * head)
        rates = a + 4 * decays * head
        for row in range(rows):
            at = offset + 4 * head * dim * n
            source, target = load_i64(states + 16 * row) + at, load_i64(states + 16 * row + 8) + at
            bs, cs = b + row * b_stride + shared, c + row * c_stride + shared
            step = softplus(splat(load_f32(dt + row * dt_stride + 4 * head)))
            decay = exp(step * splat(load_f32(rates)))
            for i in range(dim):
                number = load_f32(x + row * x_stride + 4 * (head * dim + i))
                total, scaled = splat(0.0), step * splat(number)
                for j in range(0, n, 16):
                    count, place = min(16, n - j), 4 * (i * n + j)
                    if decays > 1:
                        decay = exp(step * load_first(rates + 4 * j, count))
                    s = decay * load_first(source + place, count)
                    s = fma(scaled, load_first(bs + 4 * j, count), s)
                    store_first(target + place, s, count)
                    total = fma(s, load_first(cs + 4 * j, count), total)
                y = sum_lanes(total) + skip * number
                store_f32(out + 4 * ((row * heads + head) * dim + i), y)


def _emit(
    tape: Tape, threads: int, state: State, inputs: Sequence[Any], weights: Sequence[Any], out: Any
) -> None:
    (x, dt, b, c), (a, d) = inputs, [held(tape, w) for w in weights]
    heads, dim, n = state.shape
    group, decays = heads // b.shape[1], a.size // heads
    strides = [row_bytes(array) for array in inputs]
    values = (
        x, dt, b, c, a, d, state.rows, out, len(out), heads, dim, n, group, decays, state.offset,
        *strides,
    )  # fmt: skip
    tape.emit(ssm_scan, shares(heads, len(out) * heads * dim * n, threads), values, inputs, [out])


SSM_SCAN = Recurrence(ssm_scan_ref, _emit)
