"""Attention of rows that see all of their text, with a bias by distance: keys and values are the step's own.

    out = softmax(scale q K^T + bias(key position - row position)) V

The text is computed whole in one step, so nothing is read from the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .layer import Array, Layer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bias = Callable[[I64], F64]  # distances [keys] -> [heads, keys]


def whole_attention(layer: Layer, qkv: tuple[Array, Array, Array], bias: Bias) -> Array:
    """q [rows, heads, dim], k and v [rows, key heads, dim] -> [rows, heads * value dim]."""
    step, spec = layer.step, layer.spec
    scale, group = layer.hparams.attention_scale, spec.heads // spec.kv_heads
    ranges = step.spans[spec.window].rows[:, 1:]

    def attend(q: F64, k: F64, v: F64) -> F64:
        out = np.empty((len(q), spec.heads, spec.value_dim))
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        for row, (position, (first, last)) in enumerate(zip(step.positions, ranges, strict=True)):
            seen = slice(row - position + first, row - position + last + 1)
            scores = np.einsum("khd,hd->hk", k[seen], q[row]) * scale
            scores += bias(np.arange(first, last + 1) - position)
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            total = np.einsum("hk->h", p)
            out[row] = np.einsum("hk,khd->hd", p, v[seen]) / total[:, None]
        return out

    return layer.ops.twin(attend, (len(qkv[0]), spec.heads * spec.value_dim), *qkv)


def sloped(slopes: NDArray[np.floating], distances: I64) -> F64:
    """ALiBi on both sides: minus a slope per head times the distance."""
    return -np.abs(distances) * slopes.astype(np.float64)[:, None]
