"""Mixture of experts: a router scores experts for each row; the best ones' outputs are summed.

scores = f(router(x)),   chosen = top(scores + bias),   w = scale * scores[chosen], maybe normed
y = sum of w[i] * expert[chosen[i]](x)                               (Shazeer et al., 2017)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..arch import Dense, Router
from ..expert_spec import ExpertSpec
from .feed_forward import activated, dense, shared
from .layer import Array, Layer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LEAST = 6.103515625e-5  # the smallest normal float16: a weight sum is not taken for less


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
    """Each row's experts' products, plus their biases: [rows, slots, n]."""
    out = layer.ops.experts(getattr(layer.w, name), x, ids)
    bias = getattr(layer.w, f"{name}_bias", None)
    if bias is None:
        return out
    return layer.ops.add_chosen(out, bias, ids)


def weighted_inputs(layer: Layer, h: Array, weights: Array) -> Array:
    """Each row times each of its experts' weights: [rows, slots, embedding]."""
    shape = (*weights.shape, h.shape[1])
    return layer.ops.twin(lambda x, w: x[:, None] * w[:, :, None], shape, h, weights)


def chosen(
    layer: Layer, spec: ExpertSpec, logits: Array, bias: Array | None
) -> tuple[Array, Array]:
    """Ids of each row's experts, best first, and their weights: [rows, used] each."""
    shape, tokens = (2, len(logits), spec.used), layer.step.tokens
    table = getattr(layer.w, "ffn_gate_tid2eid", None)
    scale = getattr(layer.w, "ffn_down_exps_scale", None)

    def pick(x: F64) -> F64:
        both = choose(spec, x, bias, None if table is None else table[tokens])
        if scale is not None:
            both[1] *= scale[both[0].astype(np.int64)]
        return both

    both = layer.ops.twin(pick, shape, logits)
    return both[0], both[1]


def _softmax(x: F64) -> F64:
    p: F64 = np.exp(x - x.max(-1, keepdims=True))
    return p / _sum(p)


def _sum(x: F64) -> F64:
    """Over the last axis, from its first number on, whatever the number of rows."""
    return np.cumsum(x, axis=-1)[..., -1:]


SCORES: dict[Router, Callable[[F64], F64]] = {
    Router.SOFTMAX: _softmax,
    Router.SIGMOID: lambda x: 1 / (1 + np.exp(-x)),
    Router.SOFTMAX_OF_CHOSEN: lambda x: x,
    Router.SQRT_SOFTPLUS: lambda x: np.sqrt(np.logaddexp(0, x)),
}


def choose(spec: ExpertSpec, logits: F64, bias: Array | None, given: Array | None = None) -> F64:
    """logits [rows, experts] -> ids and weights [2, rows, used]; of equal scores the first wins.

    `given` [rows, used] are the ids where the token says them.
    """
    scores = SCORES[spec.router](logits)
    ranked = scores if bias is None else scores + bias
    ids = np.argsort(-_open_groups(spec, ranked), axis=-1, kind="stable")[:, : spec.used]
    ids = ids if given is None else np.asarray(given, np.int64)
    weights = weigh(spec, np.take_along_axis(scores, ids, -1))
    return np.stack([ids.astype(np.float64), weights])


def weigh(spec: ExpertSpec, scores: F64) -> F64:
    """Scores of the chosen [rows, used] -> their weights."""
    weights = _softmax(scores) if spec.router is Router.SOFTMAX_OF_CHOSEN else scores
    if spec.normed:
        weights = weights / np.maximum(_sum(weights), LEAST)
    return weights * spec.scale


def _open_groups(spec: ExpertSpec, scores: F64) -> F64:
    """-inf for experts outside the best groups, by a group's two best (DeepSeek-AI, V3, 2024)."""
    if spec.groups == 1:
        return scores
    grouped = scores.reshape(len(scores), spec.groups, -1)
    best = _sum(-np.sort(-grouped, axis=-1)[..., :2])[..., 0]
    order = np.argsort(-best, axis=-1, kind="stable")
    out = np.full_like(grouped, -np.inf)
    for rank in range(spec.groups_used):
        rows, group = np.arange(len(scores)), order[:, rank]
        out[rows, group] = grouped[rows, group]
    return out.reshape(scores.shape)


def _with_chunks(layer: Layer, spec: ExpertSpec, x: Array, logits: Array) -> Array:
    """Add small experts, each for a group of the first, that see their sum x (GroveMoE, 2025)."""
    ops = layer.ops
    used = min(spec.used, spec.count // spec.per_chunk)

    def choose_chunks(raw: F64) -> F64:
        ids = np.argsort(-raw, axis=-1, kind="stable")[:, :used] // spec.per_chunk
        weights = weigh(spec, np.take_along_axis(SCORES[spec.router](raw), ids, -1))
        return np.stack([ids.astype(np.float64), weights])

    both = ops.twin(choose_chunks, (2, len(x), used), logits)
    ids, weights = both[0], both[1]
    flat = (len(x) * used, spec.chunk)
    gate = routed(layer, "ffn_gate_chexps", x, ids).reshape(flat)
    up = routed(layer, "ffn_up_chexps", x, ids).reshape(flat)
    hidden = activated(layer, gate, up, 0.0).reshape(len(x), used, -1)
    y = ops.combine(routed(layer, "ffn_down_chexps", hidden, ids), weights)
    return ops.add(x, ops.scale(y, spec.chunk_scale))
