"""Layer norm: y = w * (x - mean(x)) / sqrt(variance(x) + eps) + b (Ba et al., 2016)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .simd import (
    fma,
    load_f32x16,
    load_first,
    splat,
    sqrt,
    store_f32x16,
    store_first,
    sum_lanes,
)
from .tape import kernel

F64 = NDArray[np.float64]


def layer_norm_ref(x: F64, w: F64 | None, b: F64 | None, eps: float) -> F64:
    """x [..., dim], w and b [dim] or None -> [..., dim]."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    y = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + eps)
    y = y if w is None else y * w
    return y if b is None else y + b


@kernel("layer_norm")
def layer_norm(part, parts, thread, x, w, b, out, rows, dim, stride, eps: float):
    """Rows `stride` bytes apart -> out [rows, dim]; w, b may be 0. Sums: 16 lanes, then a tree."""
    whole, left = dim // 16, dim % 16
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        source, to = x + row * stride, out + 4 * row * dim
        total = splat(0.0)
        for i in range(whole):
            total = total + load_f32x16(source + 64 * i)
        if left:
            total = total + load_first(source + 64 * whole, left)
        mean = splat(sum_lanes(total) / np.float32(dim))
        total = splat(0.0)
        for i in range(whole):
            v = load_f32x16(source + 64 * i) - mean
            store_f32x16(to + 64 * i, v)
            total = fma(v, v, total)
        if left:
            store_first(to + 64 * whole, load_first(source + 64 * whole, left) - mean, left)
            v = load_first(to + 64 * whole, left)
            total = fma(v, v, total)
        variance = sum_lanes(total) / np.float32(dim)
        scale = splat(np.float32(1) / sqrt(variance + eps))
        for i in range(whole):
            v = load_f32x16(to + 64 * i) * scale
            v = v * load_f32x16(w + 64 * i) if w else v
            store_f32x16(to + 64 * i, v + load_f32x16(b + 64 * i) if b else v)
        if left:
            v = load_first(to + 64 * whole, left) * scale
            v = v * load_first(w + 64 * whole, left) if w else v
            v = v + load_first(b + 64 * whole, left) if b else v
            store_first(to + 64 * whole, v, left)
