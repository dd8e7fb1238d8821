"""Attention of rows that see all of their text, with a bias by distance: keys and values are the
step's own.

    out = softmax(scale q K^T + bias(key position - row position)) V

The text is computed whole in one step, so nothing is read from the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...formats.errors import GGUFError
from .layer import Array, Layer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
FARTHEST = 128  # distances from here on share a bucket
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
            added = bias(np.arange(first, last + 1) - position)
            out[row] = attended(q[row] * scale, k[seen], v[seen], added)
        return out

    return layer.ops.twin(attend, (len(qkv[0]), spec.heads * spec.value_dim), *qkv)


def attended(q: F64, k: F64, v: F64, bias: F64) -> F64:
    """One row: q [heads, dim], k and v [keys, heads, dim], bias [heads, keys] -> [heads, dim]."""
    scores = np.einsum("khd,hd->hk", k, q) + bias
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    out: F64 = np.einsum("hk,khd->hd", p, v) / np.einsum("hk->h", p)[:, None]
    return out


def sloped(slopes: NDArray[np.floating], distances: I64) -> F64:
    """ALiBi on both sides: minus a slope per head times the distance."""
    return -np.abs(distances) * slopes.astype(np.float64)[:, None]


def first_table(layer: Layer) -> NDArray[np.floating]:
    """The table of relative positions: the layer's own, or the first layer's. [buckets, heads]."""
    own = layer.w.attn_rel_b
    if own is None and "relative" not in layer.passed_on:
        raise GGUFError("attn_rel_b.weight", None, "none", "one in the first layer")
    table: NDArray[np.floating] = layer.passed_on.setdefault("relative", own)
    return table if own is None else np.asarray(own)


def bucketed(table: NDArray[np.floating], distances: I64, behind: bool = False) -> F64:
    """A number per bucket and head: near distances have one each, far ones share (T5, 2019)."""
    return table[buckets(distances, len(table), behind)].T.astype(np.float64)


def buckets(distances: I64, count: int, behind: bool = False) -> I64:
    """Half of the buckets for what is behind, or all if that is all there is; half of them grow
    with the logarithm.
    """
    half = count if behind else count // 2
    exact = half // 2
    size = np.abs(distances)
    grown = np.log(np.maximum(size, exact) / exact) / math.log(FARTHEST / exact)
    far = np.minimum(exact + (grown * (half - exact)).astype(np.int64), half - 1)
    return (distances > 0) * half + np.where(size < exact, size, far)
