"""The forward pass: embed -> blocks -> norm -> logits, over the rows of one step.

A step is a ragged batch: each row is a token of some sequence at some position. Prompts, single
tokens, drafts and many users at once are all the same code.
"""

from __future__ import annotations

from typing import Any

from ..kernels.kv_pages import Region
from ..kernels.ops import Ops
from .arch import Arch, Flow, Placement
from .blocks import flows
from .blocks.layer import Layer, normed
from .hparams import HParams
from .step import Step
from .weights import Weights

Array = Any


def forward(
    arch: Arch,
    hparams: HParams,
    weights: Weights,
    regions: list[Region],
    step: Step,
    ops: Ops,
    logits: bool = True,
) -> Array:
    """Logits [outputs, vocabulary] of the step's output rows; keys and values go to the cache.

    Without `logits` what they would be made from, [rows, embedding] of all rows.
    """
    x = embed(arch, hparams, weights, step, ops)
    passed_on: dict[str, Array] = {"embedding": x}
    parts = zip(hparams.layers, weights.blk, regions, step.states, strict=True)
    layers = [Layer(arch, hparams, *part, step, ops, passed_on) for part in parts]
    x = flows.FLOWS[arch.flow](layers, weights.top, x)
    if logits and not len(step.outputs):
        return None
    x = ops.take(x, step.outputs) if logits else x
    if not _normed_already(arch):
        x = flows.output_norm(arch, hparams, weights.top, x, ops)
    return head(arch, hparams, weights, x, ops) if logits else x


def embed(arch: Arch, hparams: HParams, weights: Weights, step: Step, ops: Ops) -> Array:
    """Token embeddings [rows, embedding], scaled, normed and placed as the spec says."""
    x = ops.embed(weights.token_embd, step.tokens)
    scale = hparams.given.get("embedding_scale", 0.0)
    if arch.scaled_embedding:
        scale = hparams.embedding**0.5
    if scale not in (0.0, 1.0):
        x = ops.scale(x, scale)
    types = getattr(weights.top, "token_types", None)
    if types is not None:
        x = ops.add(x, types[0])
    positions = getattr(weights.top, "position_embd", None)
    if positions is not None:
        x = ops.add(x, ops.twin(lambda: positions[step.positions], x.shape))
    if arch.normed_embedding:
        weight = getattr(weights.top, "token_embd_norm", None)
        bias = getattr(weights.top, "token_embd_norm_bias", None)
        x = normed(ops, arch.norm, x, weight, bias, hparams.epsilon)
    return x


def _normed_already(arch: Arch) -> bool:
    return arch.flow is Flow.NESTED or arch.placement in (Placement.BARE, Placement.SUMMED)


def head(arch: Arch, hparams: HParams, weights: Weights, x: Array, ops: Ops) -> Array:
    """x [outputs, embedding], normed -> logits [outputs, vocabulary]."""
    top, given = weights.top, hparams.given
    scale = given.get("logit_scale", 0.0)
    if arch.base_width and not scale:
        x = ops.scale(x, arch.base_width / hparams.embedding)
    x = ops.matmul(top.output, x, fine=True)
    bias = getattr(top, "output_bias", None)
    x = x if bias is None else ops.add(x, bias)
    if scale not in (0.0, 1.0):
        x = ops.scale(x, 1 / scale if arch.divided_logits else scale)
    return ops.soft_cap(x, hparams.final_soft_cap) if hparams.final_soft_cap else x
