"""An indexer over pools of neighbouring tokens: one key per pool, made when its last token comes.

    key of a pool = sum over its tokens of softmax(gate h + place) * key h        or their mean

Gated: keys are normed first, queries come from the layer's low-rank row. Mean: keys and queries are
normed and turned afterwards, a pool at the position of its first token.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...kernels.compress import compressor
from ...kernels.rope import RopeTable, rope_ref
from ...kernels.sparse_attention import Indexer
from ..arch import Norm, Rope
from ..indexer_spec import IndexerSpec
from ..rope_spec import RopeSpec, rope_table
from .layer import Array, Layer, normed

F64 = NDArray[np.float64]
POOL = "pool"


def gated_pools(layer: Layer, spec: IndexerSpec, h: Array, ranked: Array) -> Indexer:
    """h [rows, embedding], ranked [rows, query rank]."""
    ops, w, rows = layer.ops, layer.w, len(h)
    q = layer.linear("indexer_attn_q_b", ranked).reshape(rows, spec.heads, spec.dim)
    key = layer.linear("indexer_attn_k", h)
    key = normed(ops, Norm.LAYER, key, w.indexer_k_norm, w.indexer_k_norm_bias, spec.epsilon)
    gate, positions = layer.linear("indexer_compressor_gate", h), layer.step.positions
    places = np.asarray(w.indexer_compressor_ape, np.float64)
    gate = ops.twin(lambda x: x + places[positions % spec.pool], gate.shape, gate)
    weights = ops.scale(layer.linear("indexer_proj", h), 1 / (spec.dim * spec.heads) ** 0.5)
    return Indexer(q, _pooled(layer, spec, key, gate), weights, spec.top, pool=spec.pool)


def mean_pools(layer: Layer, spec: IndexerSpec, h: Array) -> Indexer:
    """h [rows, embedding]."""
    ops, rows = layer.ops, len(h)
    q = layer.linear("indexer_q_proj", h).reshape(rows, spec.heads, spec.dim)
    q = layer.norm("indexer_q_norm", q)
    key = layer.linear("indexer_k_proj", h)
    key = _pooled(layer, spec, key, ops.scale(key, 0.0))
    key = layer.norm("indexer_k_norm", key).reshape(rows, 1, spec.dim)
    key = _turned(layer, key, spec.pool - 1).reshape(rows, spec.dim)
    return Indexer(_turned(layer, q, 0), key, None, spec.top, pool=spec.pool)


def _pooled(layer: Layer, spec: IndexerSpec, key: Array, gate: Array) -> Array:
    """Keys of pools at their last tokens, zeros at others: [rows, dim]."""
    inputs = (key, gate, layer.step.positions[:, None])
    return layer.ops.recur(compressor(spec.pool), key.shape, layer.states[POOL], inputs, ())


def _turned(layer: Layer, x: Array, back: int) -> Array:
    """x [rows, heads, dim], turned as at the position `back` before its row's."""
    rope, positions = layer.spec.rope, layer.step.positions
    if rope is None:
        return x
    halves = layer.arch.rope is Rope.HALVES

    def turn(x: F64) -> F64:
        cos, sin = np.empty((2, len(x), rope.dim // 2))
        _table(rope).look_up(np.maximum(positions - back, 0), cos, sin)
        return rope_ref(x, cos, sin, halves)

    return layer.ops.twin(turn, x.shape, x)


@cache
def _table(rope: RopeSpec) -> RopeTable:
    return rope_table(rope, {}, 1, np.float64)
