"""The forward pass: embed -> blocks -> norm -> logits, over the rows of one step.

A step is a ragged batch: each row is a token of some sequence at some position. Prompts, single
tokens, drafts and many users at once are all the same code.
"""

from __future__ import annotations

from typing import Any

from ..kernels.kv_pages import Region
from ..kernels.ops import Ops
from .arch import Arch, Flow, Nextn, Placement
from .blocks import flows
from .blocks.layer import TOKEN_ROWS, Layer, normed
from .blocks.token_rows import token_rows
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
    x = _last_rows(arch, hparams, weights, regions, step, ops)
    if logits and not len(step.outputs):
        return None
    x = _outputs(x, step, ops) if logits else x
    if not _normed_already(arch):
        x = flows.output_norm(arch, hparams, weights.top, x, ops)
    return head(arch, hparams, weights, x, ops) if logits else x


def forward_with_rows(
    arch: Arch, hparams: HParams, weights: Weights, regions: list[Region], step: Step, ops: Ops
) -> tuple[Array, Array]:
    """Logits likewise, None without output rows; and of all rows what layers ahead read."""
    x = _last_rows(arch, hparams, weights, regions, step, ops)
    last = flows.output_norm(arch, hparams, weights.top, x, ops)
    rows = x if arch.nextn is Nextn.BARE else last
    if not len(step.outputs):
        return None, rows
    return head(arch, hparams, weights, _outputs(last, step, ops), ops), rows


def _outputs(x: Array, step: Step, ops: Ops) -> Array:
    """The rows whose logits are wanted."""
    return x if len(step.outputs) == len(step.tokens) else ops.take(x, step.outputs)


def _last_rows(
    arch: Arch, hparams: HParams, weights: Weights, regions: list[Region], step: Step, ops: Ops
) -> Array:
    """What comes out of the last layer, [rows, embedding]."""
    x = embed(arch, hparams, weights, step, ops)
    passed_on: dict[str, Array] = {"embedding": x}
    passed_on[TOKEN_ROWS] = token_rows(hparams, weights.top, x, step, ops)
    parts = zip(hparams.layers, weights.blk, regions, step.states, strict=True)
    layers = [Layer(arch, hparams, *part, step, ops, passed_on) for part in parts]
    if hparams.adapters:
        hparams.adapters.choose(layers[0])
    return flows.FLOWS[arch.flow](layers, weights.top, x)


def embed(arch: Arch, hparams: HParams, weights: Weights, step: Step, ops: Ops) -> Array:
    """Token embeddings [rows, embedding], scaled, normed and placed as the spec says."""
    adapters = hparams.adapters
    tokens = adapters.embedded(step.tokens, ops) if adapters else step.tokens
    x = ops.embed(weights.token_embd, tokens)
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
