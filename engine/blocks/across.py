"""Attention across: an answer's rows see all rows of what it answers to (Vaswani et al., 2017).

    x += out(softmax(scale q(norm(x)) K^T) V),   K = k(source), V = v(source)

K and V are made once per source and kept on pages of its own, laid out as the layers' others.
"""

from __future__ import annotations

from ...kernels.attention import Shape
from .layer import Array, Layer


def across(layer: Layer, x: Array) -> Array:
    """What a layer takes from the source: x [rows, embedding] -> [rows, embedding]."""
    spec, ops = layer.spec, layer.ops
    q = layer.linear("cross_attn_q", layer.norm("cross_attn_norm", x))
    q = q.reshape(len(x), spec.heads, spec.key_dim)
    shape = Shape(spec.heads, layer.hparams.attention_scale)
    out = ops.look(q, layer.step.source, layer.region, shape)
    return layer.linear("cross_attn_output", out)


def keep(layer: Layer, rows: Array) -> None:
    """Store the keys and values that a layer makes of the source's rows [rows, embedding]."""
    spec, step = layer.spec, layer.step
    k = layer.linear("cross_attn_k", rows).reshape(len(rows), spec.kv_heads, spec.key_dim)
    v = layer.linear("cross_attn_v", rows).reshape(len(rows), spec.kv_heads, spec.value_dim)
    layer.ops.store(k, v, step.positions, step.spans[0], layer.region)
