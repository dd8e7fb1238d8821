"""RMS norm: y = w * x / sqrt(mean(x * x) + eps), over the last axis (Zhang and Sennrich, 2019)."""

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


def rms_norm_ref(x: F64, w: F64 | None, eps: float) -> F64:
    """x [..., dim], w [dim] or None -> [..., dim]."""
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    return x * scale if w is None else x * scale * w


@kernel("rms_norm")
def rms_norm(part, parts, thread, x, w, out, rows, dim, stride, eps: float):
    """Rows `stride` bytes apart -> out [rows, dim]; w may be 0. Squares are summed in 16 lanes,
    then as a tree.
    """
    whole, left = dim // 16, dim % 16
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        source, to = x + row * stride, out + 4 * row * dim
        total = splat(0.0)
        for i in range(whole):
            v = load_f32x16(source + 64 * i)
            total = fma(v, v, total)
        if left:
            v = load_first(source + 64 * whole, left)
            total = fma(v, v, total)
        mean = sum_lanes(total) / np.float32(dim)
        scale = splat(np.float32(1) / sqrt(mean + eps))
        for i in range(whole):
            v = load_f32x16(source + 64 * i) * scale
            store_f32x16(to + 64 * i, v * load_f32x16(w + 64 * i) if w else v)
        if left:
            v = load_first(source + 64 * whole, left) * scale
            store_first(to + 64 * whole, v * load_first(w + 64 * whole, left) if w else v, left)
