"""Multi-head latent attention: all heads' keys and values come from one low-rank row per position.

    c = norm(A x),   k[h] = (K[h] c, turned(B x)),   v[h] = V[h] c     (DeepSeek-AI, V2, 2024)

Absorbed: q[h] K[h] is compared with c itself and V[h] is applied to the sum, so that only c and
the turning part are kept, one row for all heads. Expanded: keys and values are made and kept for
each head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.attention import Shape
from ..latent_spec import LatentSpec
from .attention import gated_output, tempered
from .indexer import attend_to_chosen
from .layer import Array, Layer

F64 = NDArray[np.float64]


def latent_attention(layer: Layer, h: Array) -> Array:
    """h [rows, embedding] -> [rows, embedding]."""
    spec = layer.spec.latent
    if spec is None:
        raise ValueError("latent attention: found a layer without its sizes, expected LatentSpec")
    ranked = _ranked(layer, spec, h)
    q_plain, q_turned = _queries(layer, spec, ranked)
    row, k_turned = _latent(layer, spec, h)
    mix = _absorbed if spec.absorbed else _expanded
    out = mix(layer, spec, h, ranked, (q_plain, q_turned), (row, k_turned))
    return layer.linear("attn_output", gated_output(layer, h, out, spec.value_dim))


def _ranked(layer: Layer, spec: LatentSpec, h: Array) -> Array:
    """What queries are made of: h, or a low-rank row."""
    if not spec.query_rank:
        return h
    return layer.norm("attn_q_a_norm", layer.linear("attn_q_a", h))


def _queries(layer: Layer, spec: LatentSpec, ranked: Array) -> tuple[Array | None, Array | None]:
    """The parts of queries that do not turn and that do: [rows * heads, dim] each."""
    ops, heads, rows = layer.ops, layer.spec.heads, len(ranked)
    q = layer.linear("attn_q_b" if spec.query_rank else "attn_q", ranked)
    q = q.reshape(rows * heads, spec.key_dim)
    plain = ops.columns(q, 0, spec.plain_dim) if spec.plain_dim else None
    if not spec.rope_dim:
        return plain, None
    turning = ops.columns(q, spec.plain_dim, spec.key_dim)
    return plain, _turned(layer, turning.reshape(rows, heads, -1)).reshape(rows * heads, -1)


def _latent(layer: Layer, spec: LatentSpec, h: Array) -> tuple[Array, Array | None]:
    """The row c [rows, rank] and the keys' turning part [rows, dim]."""
    ops, rows = layer.ops, len(h)
    both = layer.linear("attn_kv_a_mqa", h)
    if not spec.rope_dim:
        return layer.norm("attn_kv_a_norm", both), None
    turning = ops.columns(both, spec.rank, spec.rank + spec.rope_dim)
    if getattr(layer.w, "attn_k_norm", None) is not None:
        turning = layer.norm("attn_k_norm", turning)
    turned = _turned(layer, turning.reshape(rows, 1, -1)).reshape(rows, -1)
    return layer.norm("attn_kv_a_norm", ops.columns(both, 0, spec.rank)), turned


def _turned(layer: Layer, x: Array) -> Array:
    rope = layer.spec.rope
    return x if rope is None else layer.ops.rope(x, layer.step.angles[rope])


def _beside(layer: Layer, x: Array | None, y: Array | None) -> Array:
    if x is None or y is None:
        return x if y is None else y
    return layer.ops.join(x, y)


def _absorbed(
    layer: Layer,
    spec: LatentSpec,
    h: Array,
    ranked: Array,
    queries: tuple[Array | None, Array | None],
    keys: tuple[Array, Array | None],
) -> Array:
    ops, heads, rows = layer.ops, layer.spec.heads, len(h)
    plain, turned = queries
    each = np.ascontiguousarray(np.broadcast_to(np.arange(heads, dtype=ops.number), (rows, heads)))
    inward = None
    if plain is not None:
        inward = ops.experts(layer.w.attn_k_b, plain.reshape(rows, heads, -1), each)
        inward = inward.reshape(rows * heads, spec.rank)
    q = tempered(layer, _beside(layer, inward, turned).reshape(rows, heads, -1))
    k, v = _beside(layer, *keys).reshape(rows, 1, -1), keys[0].reshape(rows, 1, -1)
    out = _attend(layer, spec, h, ranked, (q, k, v))
    out = ops.experts(layer.w.attn_v_b, out.reshape(rows, heads, spec.rank), each)
    return out.reshape(rows, -1)


def _expanded(
    layer: Layer,
    spec: LatentSpec,
    h: Array,
    ranked: Array,
    queries: tuple[Array | None, Array | None],
    keys: tuple[Array, Array | None],
) -> Array:
    ops, heads, rows = layer.ops, layer.spec.heads, len(h)
    made = layer.linear("attn_kv_b", keys[0]).reshape(rows * heads, -1)
    v = ops.columns(made, spec.plain_dim, spec.plain_dim + spec.value_dim)
    k_plain = ops.columns(made, 0, spec.plain_dim) if spec.plain_dim else None
    k_turned = None
    if keys[1] is not None:
        k_turned = ops.spread(keys[1], None, heads).reshape(rows * heads, -1)
    q, k = _beside(layer, *queries), _beside(layer, k_plain, k_turned)
    shape = (rows, heads, -1)
    q = tempered(layer, q.reshape(shape))
    return _attend(layer, spec, h, ranked, (q, k.reshape(shape), v.reshape(shape)))


def _attend(
    layer: Layer, spec: LatentSpec, h: Array, ranked: Array, qkv: tuple[Array, Array, Array]
) -> Array:
    if layer.spec.indexer is not None:
        return attend_to_chosen(layer, h, ranked, qkv, spec.scale)
    step = layer.step
    shape = Shape(layer.spec.heads, spec.scale)
    sinks = getattr(layer.w, "attn_sinks", None)
    spans = step.spans[layer.spec.window]
    return layer.ops.attend(qkv, step.positions, spans, layer.region, shape, sinks)
