"""Attention over the cache with a bias by distance.

    out = softmax(scale q K^T + bias(key position - row position)) V

A twin, row by row: a row's result depends on its own keys alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.kv_pages import PAGE, Region, keys_of, values_of
from ...kernels.simd import at
from .layer import Array, Layer
from .whole import Bias, attended

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def biased_attention(layer: Layer, qkv: tuple[Array, Array, Array], bias: Bias) -> Array:
    """q [rows, heads, dim], k and v [rows, key heads, dim] -> [rows, heads * value dim]."""
    step, spec, region = layer.step, layer.spec, layer.region
    scale, group = layer.hparams.attention_scale, spec.heads // spec.kv_heads
    spans, (q, k, v) = step.spans[spec.window], qkv
    layer.ops.store(k, v, step.positions, spans, region)

    def attend(q: F64) -> F64:
        out = np.empty((len(q), spec.heads, spec.value_dim))
        for row, (position, span) in enumerate(zip(step.positions, spans.rows, strict=True)):
            keys, values = (np.repeat(x, group, axis=1) for x in kept(span, region))
            added = bias(np.arange(span[1], span[2] + 1) - position)
            out[row] = attended(q[row] * scale, keys, values, added)
        return out

    return layer.ops.twin(attend, (len(q), spec.heads * spec.value_dim), q)


def kept(span: I64, region: Region) -> tuple[F64, F64]:
    """Keys and values that a row sees, [keys, key heads, dim] each; `span` as in Spans.rows."""
    first, last = int(span[1]), int(span[2])
    table = at(int(span[0]), np.int64, last // PAGE + 1)[first // PAGE :]
    seen = slice(first % PAGE, first % PAGE + last + 1 - first)
    keys = [keys_of(int(page), region).swapaxes(2, 3) for page in table]
    k = np.concatenate([x.reshape(region.kv_heads, PAGE, -1) for x in keys], axis=1)
    v = np.concatenate([values_of(int(page), region) for page in table], axis=1)
    parts = k[:, seen], v[:, seen, : region.value_dim]
    k, v = (np.ascontiguousarray(x.swapaxes(0, 1), np.float64) for x in parts)
    return k, v
