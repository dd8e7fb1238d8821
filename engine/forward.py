"""The forward pass: embed -> blocks -> norm -> logits, over the rows of one step.

A step is a ragged batch: each row is a token of some sequence at some position. Prompts, single tokens,
drafts and many users at once are all the same code.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ..kernels.attention import Shape
from ..kernels.kv_pages import Region
from ..kernels.ops import Ops
from .arch import Arch, Placement, QKNorm
from .hparams import HParams, LayerSpec
from .step import Step
from .weights import Weights

Array = Any


def forward(
    arch: Arch, hparams: HParams, weights: Weights, regions: list[Region], step: Step, ops: Ops
) -> Array:
    """Logits [outputs, vocabulary] of the step's output rows; keys and values go to the cache."""
    x = ops.embed(weights.token_embd, step.tokens)  # [rows, embedding]
    if arch.scaled_embedding:
        x = ops.scale(x, hparams.embedding**0.5)
    for spec, w, region in zip(hparams.layers, weights.blk, regions, strict=True):
        x = block(arch, hparams, spec, w, region, x, step, ops)
    if not len(step.outputs):
        return None
    x = ops.take(x, step.outputs)
    x = ops.rms_norm(x, weights.output_norm, hparams.epsilon)
    return ops.matmul(weights.output, x, fine=True)


def block(
    arch: Arch,
    hparams: HParams,
    spec: LayerSpec,
    w: SimpleNamespace,
    region: Region,
    x: Array,
    step: Step,
    ops: Ops,
) -> Array:
    """One layer: attention, then feed-forward, each added to x [rows, embedding]."""
    eps = hparams.epsilon
    h = ops.rms_norm(x, w.attn_norm, eps)
    h = attention(arch, hparams, spec, w, region, h, step, ops)
    if arch.placement is Placement.SANDWICH:
        h = ops.rms_norm(h, w.post_attention_norm, eps)
    x = ops.add(x, h)
    h = ops.rms_norm(x, w.ffn_norm, eps)
    h = feed_forward(arch, w, h, ops)
    if arch.placement is Placement.SANDWICH:
        h = ops.rms_norm(h, w.post_ffw_norm, eps)
    return ops.add(x, h)


def attention(
    arch: Arch,
    hparams: HParams,
    spec: LayerSpec,
    w: SimpleNamespace,
    region: Region,
    h: Array,
    step: Step,
    ops: Ops,
) -> Array:
    """Multi-head attention with grouped keys: [rows, embedding] -> [rows, embedding]."""
    rows = len(h)
    q = linear(ops, w.attn_q, w.attn_q_bias, h).reshape(rows, spec.heads, spec.key_dim)
    k = linear(ops, w.attn_k, w.attn_k_bias, h).reshape(rows, spec.kv_heads, spec.key_dim)
    v = linear(ops, w.attn_v, w.attn_v_bias, h).reshape(rows, spec.kv_heads, spec.value_dim)
    if arch.qk_norm is QKNorm.PER_HEAD:
        q = ops.rms_norm(q, w.attn_q_norm, hparams.epsilon)
        k = ops.rms_norm(k, w.attn_k_norm, hparams.epsilon)
    angles = step.angles[spec.rope]
    q, k = ops.rope(q, angles), ops.rope(k, angles)
    shape = Shape(spec.heads, hparams.attention_scale)
    h = ops.attend((q, k, v), step.positions, step.spans[spec.window], region, shape)
    return linear(ops, w.attn_output, w.attn_output_bias, h)


def feed_forward(arch: Arch, w: SimpleNamespace, h: Array, ops: Ops) -> Array:
    """down(activation(gate(h)) * up(h)): [rows, embedding] -> [rows, embedding]."""
    gate = linear(ops, w.ffn_gate, w.ffn_gate_bias, h)
    up = linear(ops, w.ffn_up, w.ffn_up_bias, h)
    return linear(ops, w.ffn_down, w.ffn_down_bias, ops.gate(arch.gate.value, gate, up))


def linear(ops: Ops, weight: Any, bias: Any, x: Array) -> Array:
    """x times a weight, plus its bias if the file has one."""
    out = ops.matmul(weight, x)
    return out if bias is None else ops.add(out, bias)
