"""Multi-head attention with grouped keys: project, norm, turn, attend, gate, project."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.attention import Shape
from ..arch import OutputGate, QKNorm
from .biased import biased_attention
from .indexer import attend_to_blocks
from .layer import Array, Layer, normed
from .whole import bucketed, first_table, sloped, whole_attention

F64 = NDArray[np.float64]


def attention(layer: Layer, h: Array) -> Array:
    """h [rows, embedding] -> [rows, embedding]."""
    borrows = layer.spec.borrows_keys
    out = look(layer, h) if borrows else attend(layer, h, queries_keys_values(layer, h))
    out = gated_output(layer, h, out, layer.spec.value_dim)
    out = layer.norm("attn_sub_norm", out) if layer.arch.inner_norms else out
    return layer.linear("attn_output", out)


def attend(layer: Layer, h: Array, qkv: tuple[Array, Array, Array]) -> Array:
    """The heads' outputs [rows, heads * value dim]."""
    spec, step, ops = layer.spec, layer.step, layer.ops
    if spec.indexer is not None:
        return attend_to_blocks(layer, spec.indexer, h, qkv)
    if layer.arch.relative_bias:
        bias = partial(bucketed, first_table(layer), behind=layer.arch.causal)
        return (biased_attention if layer.arch.causal else whole_attention)(layer, qkv, bias)
    if not layer.arch.causal and (slopes := _slopes(layer)) is not None:
        return whole_attention(layer, qkv, partial(sloped, slopes))
    sinks = getattr(layer.w, "attn_sinks", None)
    place = step.positions, step.spans[spec.window], layer.region
    out = ops.attend(qkv, *place, _shape(layer), sinks, _slopes(layer))
    scale = layer.hparams.given.get("attention.value_scale", 0.0)
    return ops.scale(out, scale) if scale else out


def look(layer: Layer, h: Array) -> Array:
    """The same over the keys and values of an earlier layer."""
    (q,) = _turned(layer, _projected(layer, h))
    spans = layer.step.spans[layer.spec.window]
    return layer.ops.look(tempered(layer, q), spans, layer.region, _shape(layer))


def queries_keys_values(layer: Layer, h: Array) -> tuple[Array, Array, Array]:
    """[rows, heads, dim] each, normed and turned."""
    spec, rows = layer.spec, len(h)
    q, k, v = _projected(layer, h)
    q, k = _turned(layer, [q, k])
    v = v.reshape(rows, spec.kv_heads, spec.value_dim)
    if layer.arch.value_norm:
        v = normed(layer.ops, layer.arch.norm, v, None, None, layer.hparams.epsilon)
    return tempered(layer, q), k, v


def _turned(layer: Layer, parts: list[Array]) -> list[Array]:
    """Queries, or queries and keys, [rows, heads * dim] -> normed and turned [rows, heads, dim]."""
    arch, spec = layer.arch, layer.spec
    names = ("attn_q_norm", "attn_k_norm")[: len(parts)]
    if arch.qk_norm is QKNorm.ACROSS:
        parts = [_across(layer, name, x) for name, x in zip(names, parts, strict=True)]
    parts = [x.reshape(len(x), -1, spec.key_dim) for x in parts]
    if not arch.qk_norm_after_rope:
        parts = [_normed_heads(layer, name, x) for name, x in zip(names, parts, strict=True)]
    if spec.rope is not None:
        angles = layer.step.angles[spec.rope]
        parts = [layer.ops.rope(x, angles) for x in parts]
    if arch.qk_norm_after_rope:
        parts = [_normed_heads(layer, name, x) for name, x in zip(names, parts, strict=True)]
    return parts


def _projected(layer: Layer, h: Array) -> list[Array]:
    """Queries, keys and values, or queries alone where the others are an earlier layer's."""
    spec, ops = layer.spec, layer.ops
    clip = layer.hparams.given.get("attention.clamp_kqv", 0.0)
    names = "q" if spec.borrows_keys else "qkv"
    if getattr(layer.w, "attn_qkv", None) is None:
        made = [x for x in names if getattr(layer.w, f"attn_{x}", None) is not None]
        parts = [layer.linear(f"attn_{x}", h) for x in made]
        parts += parts[1:] if len(made) < len(names) else []
    else:
        both = layer.linear("attn_qkv", h)
        q, k = spec.heads * spec.key_dim, spec.kv_heads * spec.key_dim
        cuts = ((0, q), (q, q + k), (q + k, q + k + spec.kv_heads * spec.value_dim))
        parts = [ops.columns(both, *cut) for cut in cuts[: len(names)]]
        if layer.w.attn_qkv_bias is None:
            biases = [getattr(layer.w, f"attn_{x}_bias", None) for x in names]
            parts = [p if b is None else ops.add(p, b) for p, b in zip(parts, biases, strict=True)]
        parts = [layer.adapted(f"attn_{x}", h, p) for x, p in zip(names, parts, strict=True)]
    return [ops.clip(part, clip) for part in parts] if clip else parts


def _across(layer: Layer, name: str, x: Array) -> Array:
    """All heads as one row; files may have neither norm."""
    return x if getattr(layer.w, name) is None else layer.norm(name, x)


def _normed_heads(layer: Layer, name: str, x: Array) -> Array:
    """Queries or keys [rows, heads, dim], normed head by head; `name` is the weight's."""
    kind, weight = layer.arch.qk_norm, getattr(layer.w, name, None)
    if kind in (QKNorm.NONE, QKNorm.ACROSS) or (
        kind is QKNorm.UNWEIGHTED and layer.spec.rope is None
    ):
        return x
    if kind is QKNorm.EACH_HEAD:
        return _each_head(layer, x, weight)
    shared = weight if kind is QKNorm.PER_HEAD else None
    x = normed(layer.ops, layer.arch.norm, x, shared, None, layer.hparams.epsilon)
    return _times(layer, x, weight) if kind is QKNorm.GAIN and weight is not None else x


def _each_head(layer: Layer, x: Array, weight: Any) -> Array:
    """A norm per head by weights [heads, dim], if the file has them."""
    if weight is None:
        return x
    x = normed(layer.ops, layer.arch.norm, x, None, None, layer.hparams.epsilon)
    return _times(layer, x, weight)


def _times(layer: Layer, x: Array, weight: Any) -> Array:
    """x [rows, heads, dim] times [heads, dim], or [heads, 1]."""
    full = np.ascontiguousarray(np.broadcast_to(weight, x.shape[1:])).reshape(-1)
    return layer.ops.multiply(x.reshape(len(x), -1), full).reshape(x.shape)


def tempered(layer: Layer, q: Array) -> Array:
    """Queries times the temperature of their position, in layers that the spec names."""
    step, spec = layer.step, layer.hparams.temperature
    if spec is None or (spec.without_rope and layer.spec.rope is not None):
        return q

    def scaled(x: F64) -> F64:
        return x * spec.at(step.positions)[:, None, None]

    return layer.ops.twin(scaled, q.shape, q)


def _shape(layer: Layer) -> Shape:
    given = layer.hparams.given
    return Shape(
        layer.spec.heads,
        layer.hparams.attention_scale,
        given.get("attn_logit_softcapping", 0.0),
    )


def _slopes(layer: Layer) -> Any:
    """ALiBi (Press et al., 2022): one slope per head, powers of 2^(-bias / heads)."""
    most = layer.hparams.given.get("attention.max_alibi_bias", 0.0)
    return alibi_slopes(layer.spec.heads, most).astype(layer.ops.number) if most > 0 else None


def alibi_slopes(heads: int, most: float) -> F64:
    """2^(-most * (i+1) / n) for the first n heads, n a power of two; the others lie between."""
    whole = 1 << (heads.bit_length() - 1)
    first = 2.0 ** (-most / whole * np.arange(1, whole + 1))
    between = 2.0 ** (-most / 2 / whole * np.arange(1, 2 * (heads - whole), 2))
    return np.concatenate([first, between])


GATES: dict[OutputGate, Callable[[F64], F64]] = {
    OutputGate.SIGMOID: lambda x: 1 / (1 + np.exp(-x)),
    OutputGate.SOFTPLUS: lambda x: np.logaddexp(0, x),
    OutputGate.WITH_QUERY: lambda x: 1 / (1 + np.exp(-x)),
}


def gated_output(layer: Layer, h: Array, out: Array, dim: int) -> Array:
    """Heads' outputs [rows, heads * dim] times a function of attn_gate(h), per number or head."""
    if layer.arch.output_gate is OutputGate.NONE:
        return out
    ops, gate = layer.ops, layer.linear("attn_gate", h)
    if gate.shape == out.shape and layer.arch.output_gate is not OutputGate.SOFTPLUS:
        return ops.gate("sigmoid", gate, out)
    function = GATES[layer.arch.output_gate]

    def gated(x: F64, g: F64) -> F64:
        return x.reshape(*g.shape, -1) * function(g)[..., None]

    return ops.twin(gated, out.shape, out, gate)
