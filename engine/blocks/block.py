"""One layer: a mixer and a feed-forward part, each added to the residual, with the spec's norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arch import Attention, Dense, Placement
from .across import across
from .attention import attention
from .layer import Array, Layer
from .mla import latent_attention
from .moe import apart, experts, feed_forward, has_router, router_logits
from .token_rows import from_token_row

ATTENTIONS: dict[Attention, Callable[[Layer, Array], Array]] = {
    Attention.HEADS: attention,
    Attention.LATENT: latent_attention,
}


def block(layer: Layer, x: Array) -> Array:
    """x [rows, embedding] -> [rows, embedding]."""
    if layer.arch.placement is Placement.PARALLEL:
        return _parallel(layer, x)
    if layer.arch.placement is Placement.NORMED:
        return _onto_norms(layer, x)
    if layer.arch.placement is Placement.SUMMED:
        return _norms_of_sums(layer, x)
    ops, start = layer.ops, x
    h = mix(layer, _before(layer, "attn_norm", x))
    x = ops.add(x, scaled(layer, _after(layer, "post_attention_norm", h)))
    if layer.arch.source is not None:
        x = ops.add(x, across(layer, x))
    if not layer.spec.feeds or not (layer.spec.attends or layer.spec.mixer):
        return x
    if layer.arch.dense is Dense.APART and has_router(layer):
        h = apart(layer, x)
    else:
        h = feed_forward(layer, _before(layer, "ffn_norm", x), start)
    x = ops.add(x, scaled(layer, _after(layer, "post_ffw_norm", h)))
    if layer.arch.dense is Dense.BEFORE:
        x = ops.add(x, _late_experts(layer, start))
    if layer.spec.mixer and layer.spec.mixer.after != 1.0:
        x = ops.scale(x, layer.spec.mixer.after)
    added = from_token_row(layer, x)
    return _ended(layer, x if added is None else ops.add(x, added))


def over_residual(layer: Layer, index: int, x: Any) -> Any:
    """The same over the residual that the spec names."""
    residual, ops = layer.hparams.residual, layer.ops
    if residual is None:
        raise ValueError("residual: found none, expected what the spec names")
    for part, function in (("attn", mix), ("ffn", _fed)):
        h, link = residual.enter(x, layer.w, part, index, layer.hparams.epsilon, ops)
        y = function(layer, _before(layer, f"{part}_norm", h))
        x = residual.leave(x, y, link, ops)
    return x


def _fed(layer: Layer, h: Array) -> Array:
    return feed_forward(layer, h, h)


def mix(layer: Layer, h: Array) -> Array:
    """What a layer does first: attention, its recurrent mixer, both added, or feed-forward."""
    spec, ops = layer.spec, layer.ops
    mixed = spec.mixer.mix(layer, h) if spec.mixer else None
    if not spec.attends:
        return feed_forward(layer, h, h) if mixed is None else mixed
    attended = ATTENTIONS[layer.arch.attention](layer, h)
    return attended if mixed is None else ops.add(attended, mixed)


def _before(layer: Layer, name: str, x: Array) -> Array:
    bare = layer.arch.placement in (Placement.POST, Placement.BARE)
    absent = layer.arch.norm_weights and getattr(layer.w, name, None) is None
    return x if bare or absent else layer.norm(name, x)


def _after(layer: Layer, name: str, h: Array) -> Array:
    if layer.arch.placement in (Placement.PRE, Placement.PARALLEL, Placement.BARE):
        return h
    return layer.norm(name, h, layer.arch.post_norm_epsilon)


def scaled(layer: Layer, h: Array) -> Array:
    """What a part adds to the residual, times the file's `residual_scale`."""
    scale = layer.hparams.residual_scale
    return layer.ops.scale(h, scale) if scale not in (0.0, 1.0) else h


def _parallel(layer: Layer, x: Array) -> Array:
    """Both parts see the block's input; each by a norm of its own, where the file has one."""
    ops = layer.ops
    first = layer.norm("attn_norm", x)
    other = getattr(layer.w, "attn_norm_2", None) is not None
    mixed = mix(layer, layer.norm("attn_norm_2", x) if other else first)
    apart = getattr(layer.w, "ffn_norm", None) is not None
    fed = feed_forward(layer, layer.norm("ffn_norm", x) if apart else first, x)
    return ops.add(ops.add(x, fed), mixed)


def _onto_norms(layer: Layer, x: Array) -> Array:
    """Each part's result is added to its normed input, times the file's `residual_scale`."""
    ops, scale = layer.ops, layer.hparams.residual_scale or 1.0
    h = layer.norm("attn_norm", x)
    x = ops.add(ops.scale(h, scale), mix(layer, h))
    h = layer.norm("ffn_norm", x)
    return ops.add(ops.scale(h, scale), feed_forward(layer, h, x))


def _norms_of_sums(layer: Layer, x: Array) -> Array:
    """Each part's result is added to its input, then normed; files may add the input once more."""
    ops = layer.ops
    h = layer.norm("post_attention_norm", ops.add(x, mix(layer, x)))
    if layer.w.attn_norm_2 is not None:
        h = layer.norm("attn_norm_2", ops.add(x, h))
    return layer.norm("post_ffw_norm", ops.add(h, feed_forward(layer, h, x)))


def _late_experts(layer: Layer, start: Array) -> Array:
    spec = layer.spec.experts
    if spec is None:
        raise ValueError("experts: found a layer without any, expected ExpertSpec")
    h = layer.norm("ffn_norm_exps", start)
    return experts(layer, spec, h, router_logits(layer, h))


def _ended(layer: Layer, x: Array) -> Array:
    """x plus the embeddings times the layer's own number, or x times that number."""
    ops, number = layer.ops, getattr(layer.w, "layer_output_scale", None)
    if number is None:
        return x
    if layer.arch.skip_embedding:
        return ops.add(x, ops.scale(layer.passed_on["embedding"], float(number[0])))
    return ops.scale(x, float(number[0]))
