"""The indexer of sparse attention: its queries, keys and weights, from a layer's tensors."""

from __future__ import annotations

from ...kernels.attention import Shape
from ...kernels.sparse_attention import Choice, Indexer
from ..arch import Norm
from ..indexer_spec import IndexerSpec
from .layer import Array, Layer, normed
from .pooled_indexer import gated_pools, mean_pools

CHOICE = "choice"


def attend_to_chosen(
    layer: Layer, h: Array, ranked: Array, qkv: tuple[Array, Array, Array], scale: float
) -> Array:
    """Attend to keys that the layer's indexer chooses, or that the last one has chosen.

    h [rows, embedding], ranked [rows, query rank] is what the indexer's queries are made of.
    """
    if layer.spec.indexer is not None and layer.spec.indexer.owner:
        spec = layer.spec.indexer
        made = gated_pools if spec.pool else _key_indexer
        index = made(layer, spec, h, ranked)
        layer.passed_on[CHOICE] = layer.ops.choose(
            index, layer.step.positions, layer.step.spans[layer.spec.window], layer.region
        )
    return _attend(layer, qkv, scale)


def attend_to_blocks(
    layer: Layer, spec: IndexerSpec, h: Array, qkv: tuple[Array, Array, Array]
) -> Array:
    """Attend to blocks of keys, chosen per key head."""
    layer.passed_on[CHOICE] = layer.ops.choose(
        mean_pools(layer, spec, h) if spec.pool else _block_indexer(layer, spec, h),
        layer.step.positions,
        layer.step.spans[layer.spec.window],
        layer.region,
    )
    return _attend(layer, qkv, layer.hparams.attention_scale)


def _attend(layer: Layer, qkv: tuple[Array, Array, Array], scale: float) -> Array:
    choice = layer.passed_on[CHOICE]
    if not isinstance(choice, Choice):
        raise TypeError(f"choice of keys: found {type(choice).__name__}, expected Choice")
    return layer.ops.attend_chosen(
        qkv,
        layer.step.positions,
        layer.step.spans[layer.spec.window],
        layer.region,
        Shape(layer.spec.heads, scale),
        choice,
        getattr(layer.w, "attn_sinks", None),
    )


def _key_indexer(layer: Layer, spec: IndexerSpec, h: Array, ranked: Array) -> Indexer:
    ops, rows = layer.ops, len(h)
    q = layer.linear("indexer_attn_q_b", ranked).reshape(rows, spec.heads, spec.dim)
    key = layer.linear("indexer_attn_k", h)
    w = layer.w
    key = normed(ops, Norm.LAYER, key, w.indexer_k_norm, w.indexer_k_norm_bias, spec.epsilon)
    weights = ops.scale(layer.linear("indexer_proj", h), 1 / (spec.dim * spec.heads) ** 0.5)
    key = _turned(layer, key.reshape(rows, 1, spec.dim)).reshape(rows, spec.dim)
    return Indexer(_turned(layer, q), key, weights, spec.top)


def _block_indexer(layer: Layer, spec: IndexerSpec, h: Array) -> Indexer:
    rows = len(h)
    q = layer.linear("indexer_q_proj", h).reshape(rows, spec.heads, spec.dim)
    key = layer.linear("indexer_k_proj", h).reshape(rows, 1, spec.dim)
    q, key = layer.norm("indexer_q_norm", q), layer.norm("indexer_k_norm", key)
    q, key = _turned(layer, q), _turned(layer, key).reshape(rows, spec.dim)
    return Indexer(q, key, None, spec.top, spec.block, spec.local_blocks)


def _turned(layer: Layer, x: Array) -> Array:
    """x [rows, heads, dim] with its first numbers turned, or its last."""
    rope, ops = layer.spec.rope, layer.ops
    if rope is None:
        return x
    arch, angles = layer.arch, layer.step.angles[rope]
    angles = angles if arch.indexer_rope_as_others else angles.in_halves()
    if not arch.indexer_rope_last:
        return ops.rope(x, angles)
    rows, heads, dim = x.shape
    flat, plain = x.reshape(rows * heads, dim), dim - rope.dim
    turned = ops.rope(ops.columns(flat, plain, dim).reshape(rows, heads, rope.dim), angles)
    joined = ops.join(ops.columns(flat, 0, plain), turned.reshape(rows * heads, rope.dim))
    return joined.reshape(x.shape)
