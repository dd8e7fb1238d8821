"""Lightning attention (Qin et al., 2024): s' = exp(-slope) s + v k^T, y = s' q, per head."""

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
from .vmath import exp

F64 = NDArray[np.float64]


def lightning_ref(state: F64, q: F64, k: F64, v: F64, slopes: F64) -> tuple[F64, F64]:
    """state [heads, value, key], q, k, v [heads, dim], slopes [heads] -> y [heads, dim], state."""
    state = np.exp(-slopes)[:, None, None] * state + v[:, :, None] * k[:, None]
    return np.einsum("hvk,hk->hv", state, q), state


@kernel("lightning")
def lightning(
    part, parts, thread, q, k, v, slopes, states, out, rows, heads, dim, offset, q_stride, k_stride,
    v_stride,
):  # fmt: skip
    """Each head's rows in order; sums over the key in 16 lanes, then as a tree."""
    for head in range(heads * part // parts, heads * (part + 1) // parts):
        decay = exp(splat(0.0) - splat(load_f32(slopes + 4 * head)))
        at, own = offset + 4 * head * dim * dim, 4 * head * dim
        for row in range(rows):
            source, target = load_i64(states + 16 * row) + at, load_i64(states + 16 * row + 8) + at
            qs, ks, vs = (
                q + row * q_stride + own,
                k + row * k_stride + own,
                v + row * v_stride + own,
            )
            for i in range(dim):
                total, value = splat(0.0), splat(load_f32(vs + 4 * i))
                for j in range(0, dim, 16):
                    count, place = min(16, dim - j), 4 * (i * dim + j)
                    s = decay * load_first(source + place, count)
                    s = fma(value, load_first(ks + 4 * j, count), s)
                    store_first(target + place, s, count)
                    total = fma(s, load_first(qs + 4 * j, count), total)
                store_f32(out + 4 * ((row * heads + head) * dim + i), sum_lanes(total))


def _emit(
    tape: Tape, threads: int, state: State, inputs: Sequence[Any], weights: Sequence[Any], out: Any
) -> None:
    heads, dim, _ = state.shape
    slopes, strides = held(tape, weights[0]), [row_bytes(array) for array in inputs]
    values = (*inputs, slopes, state.rows, out, len(out), heads, dim, state.offset, *strides)
    parts = shares(heads, len(out) * heads * dim * dim, threads)
    tape.emit(lightning, parts, values, inputs, [out])


LIGHTNING = Recurrence(lightning_ref, _emit)
