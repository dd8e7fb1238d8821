"""Mixture of experts: a router scores experts for each row; the best ones' outputs are summed.

scores = f(router(x)),   chosen = top(scores + bias),   w = scale * scores[chosen], maybe normed
y = sum of w[i] * expert[chosen[i]](x)                               (Shazeer et al., 2017)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.router import Routing, choose_ref, weigh_ref
from ..arch import Dense
from ..expert_spec import ExpertSpec
from .feed_forward import activated, dense, shared
from .layer import Array, Layer

F64 = NDArray[np.float64]


def feed_forward(layer: Layer, h: Array, x: Array) -> Array:
    """h [rows, embedding], normed; x is the block's input, which some routers read."""
    if layer.spec.mixer and layer.spec.mixer.own_feed_forward:
        return layer.spec.mixer.feed_forward(layer, h)
    if not has_router(layer) or layer.spec.experts is None or layer.arch.dense is Dense.BEFORE:
        return dense(layer, h)
    ops, spec = layer.ops, layer.spec.experts
    logits = router_logits(layer, x if layer.arch.routed_by_input else h)
    out = _widened(layer, experts(layer, spec, _narrowed(layer, h), logits))
    others = []
    if getattr(layer.w, "ffn_up_shexp", None) is not None:
        others.append(shared(layer, h, spec.clamps[1]))
    if layer.arch.dense is Dense.BESIDE and getattr(layer.w, "ffn_up", None) is not None:
        others.append(dense(layer, h))
    for other in others:
        out = ops.add(out, other)
    mixes = others and layer.arch.expert_mix != 1.0
    return ops.scale(out, layer.arch.expert_mix) if mixes else out


def has_router(layer: Layer) -> bool:
    """Whether the layer has experts; of a model with experts some layers may have none."""
    return getattr(layer.w, "ffn_gate_inp", None) is not None


def apart(layer: Layer, x: Array) -> Array:
    """A dense layer and experts, each between norms of its own, summed (Gemma 4, 2026).

    x [rows, embedding] is not normed yet; the router's norm is divided by sqrt(embedding).
    """
    ops, w, spec = layer.ops, layer.w, layer.spec.experts
    if spec is None:
        raise ValueError("experts: found a router without any, expected ExpertSpec")
    one = layer.norm("post_ffw_norm_1", dense(layer, layer.norm("ffn_norm", x)))
    seen = ops.rms_norm(x, w.ffn_gate_inp_scale, layer.hparams.epsilon)
    logits = ops.matmul(w.ffn_gate_inp, ops.scale(seen, x.shape[1] ** -0.5))
    other = experts(layer, spec, layer.norm("pre_ffw_norm_2", x), logits)
    return ops.add(one, layer.norm("post_ffw_norm_2", other))


def _narrowed(layer: Layer, h: Array) -> Array:
    """What the experts read: h, or a projection of it."""
    narrow = getattr(layer.w, "ffn_routed_down", None) is not None
    return layer.linear("ffn_routed_down", h) if narrow else h


def _widened(layer: Layer, out: Array) -> Array:
    """The experts' sum as a row of the model's width."""
    if getattr(layer.w, "ffn_routed_up", None) is None:
        return out
    if layer.w.ffn_routed_norm is not None:
        out = layer.norm("ffn_routed_norm", out)
    return layer.linear("ffn_routed_up", out)


def router_logits(layer: Layer, x: Array) -> Array:
    """[rows, experts]."""
    return layer.linear("ffn_gate_inp", x)


def experts(layer: Layer, spec: ExpertSpec, h: Array, logits: Array) -> Array:
    """The chosen experts' outputs, summed: [rows, embedding]."""
    ops, w = layer.ops, layer.w
    bias = next((b for b in (w.exp_probs_b_bias, w.exp_probs_b) if b is not None), None)
    ids, weights = chosen(layer, spec, logits, bias)
    x = weighted_inputs(layer, h, weights) if layer.arch.weights_first else h
    if getattr(w, "ffn_gate_up_exps", None) is not None:
        gate, up = _fused(layer, spec, x, ids)
    else:
        up = routed(layer, "ffn_up_exps", x, ids)
        gate = up if w.ffn_gate_exps is None else routed(layer, "ffn_gate_exps", x, ids)
    rows, slots = ids.shape
    flat = (rows * slots, spec.feed_forward)
    gate, up = gate.reshape(flat), up.reshape(flat)
    if getattr(w, "ffn_gate_exps", None) is None and getattr(w, "ffn_gate_up_exps", None) is None:
        hidden = ops.activate(layer.arch.gate.value, up)
    else:
        hidden = activated(layer, gate, up, spec.clamps[0])
    y = routed(layer, "ffn_down_exps", hidden.reshape(rows, slots, -1), ids)
    out = ops.combine(y, None if layer.arch.weights_first else weights)
    return out if not spec.chunk else _with_chunks(layer, spec, out, logits)


def _fused(layer: Layer, spec: ExpertSpec, x: Array, ids: Array) -> tuple[Array, Array]:
    both = routed(layer, "ffn_gate_up_exps", x, ids)
    flat, half = both.reshape(-1, 2 * spec.feed_forward), spec.feed_forward
    return layer.ops.columns(flat, 0, half), layer.ops.columns(flat, half, 2 * half)


def routed(layer: Layer, name: str, x: Array, ids: Array) -> Array:
    """Each row's experts' products, times their scales, plus their biases: [rows, slots, n]."""
    out = layer.ops.experts(getattr(layer.w, name), x, ids)
    scale = getattr(layer.w, f"{name}_scale", None)
    if scale is not None and not (name == "ffn_down_exps" and _weighs_by_scale(layer)):
        factors = layer.ops.twin(lambda ids: scale[ids.astype(np.int64)], ids.shape, ids)
        pairs = out.reshape(ids.size, 1, -1), factors.reshape(ids.size, 1)
        out = layer.ops.combine(*pairs).reshape(out.shape)
    bias = getattr(layer.w, f"{name}_bias", None)
    if bias is None:
        return out
    return layer.ops.add_chosen(out, bias, ids)


def weighted_inputs(layer: Layer, h: Array, weights: Array) -> Array:
    """Each row times each of its experts' weights: [rows, slots, embedding]."""
    return layer.ops.spread(h, weights, weights.shape[1])


def chosen(
    layer: Layer, spec: ExpertSpec, logits: Array, bias: Array | None
) -> tuple[Array, Array]:
    """Ids of each row's experts, best first, and their weights: [rows, used] each."""
    shape, tokens = (2, len(logits), spec.used), layer.step.tokens
    table = getattr(layer.w, "ffn_gate_tid2eid", None)
    factors = layer.w.ffn_down_exps_scale if _weighs_by_scale(layer) else None
    if table is None:
        ids, weights = layer.ops.route(routing(spec), logits, bias, factors)
        return ids, weights
    both = layer.ops.twin(lambda x: choose(spec, x, bias, table[tokens]), shape, logits)
    return both[0], both[1]


def _weighs_by_scale(layer: Layer) -> bool:
    """Whether the last products' scales go into the router's weights: if nothing is in between."""
    between = ("ffn_down_exps_bias", "ffn_gate_tid2eid")
    if layer.arch.weights_first or any(
        getattr(layer.w, name, None) is not None for name in between
    ):
        return False
    return getattr(layer.w, "ffn_down_exps_scale", None) is not None


def routing(spec: ExpertSpec) -> Routing:
    """The router's rule."""
    scores = spec.router.name.lower()
    return Routing(scores, spec.used, spec.normed, spec.scale, spec.groups, spec.groups_used)


def choose(spec: ExpertSpec, logits: F64, bias: Array | None, given: Array | None = None) -> F64:
    """logits [rows, experts] -> ids and weights [2, rows, used]; of equal scores the first wins.

    `given` [rows, used] are the ids where the token says them.
    """
    rule = routing(spec)
    ids = choose_ref(rule, logits, bias) if given is None else np.asarray(given, np.float64)
    return np.stack([ids, weigh_ref(rule, logits, ids)])


def _with_chunks(layer: Layer, spec: ExpertSpec, x: Array, logits: Array) -> Array:
    """Add small experts, each for a group of the first, that see their sum x (GroveMoE, 2025)."""
    ops = layer.ops
    used = min(spec.used, spec.count // spec.per_chunk)

    def choose_chunks(raw: F64) -> F64:
        order = np.argsort(-raw, axis=-1, kind="stable")[:, :used]
        ids = (order // spec.per_chunk).astype(np.float64)
        return np.stack([ids, weigh_ref(routing(spec), raw, ids)])

    both = ops.twin(choose_chunks, (2, len(x), used), logits)
    ids, weights = both[0], both[1]
    flat = (len(x) * used, spec.chunk)
    gate = routed(layer, "ffn_gate_chexps", x, ids).reshape(flat)
    up = routed(layer, "ffn_up_chexps", x, ids).reshape(flat)
    hidden = activated(layer, gate, up, 0.0).reshape(len(x), used, -1)
    y = ops.combine(routed(layer, "ffn_down_chexps", hidden, ids), weights)
    return ops.add(x, ops.scale(y, spec.chunk_scale))
