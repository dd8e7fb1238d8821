"""Per-layer embeddings (Gemma 3n, 2025): each token has a small row of numbers for every layer.

    rows = (norm(P x / sqrt(dim)) + sqrt(n) table[token]) / sqrt(2)      [layers, n], once a step
    y = norm(B (gelu(A x) * rows[layer]))                                what a layer adds

The table is the largest tensor of its model: only the rows of a step's tokens are read.
"""

from __future__ import annotations

from types import SimpleNamespace

from ...kernels.ops import Ops
from ..hparams import HParams
from ..step import Step
from .layer import TOKEN_ROWS, Array, Layer


def token_rows(hparams: HParams, top: SimpleNamespace, x: Array, step: Step, ops: Ops) -> Array:
    """x [rows, embedding] -> all layers' rows, side by side: [rows, layers * n].

    None if the model has no such rows.
    """
    spec = hparams.layers[0].token_row
    if spec is None:
        return None
    # Wide rows: each takes the name of the one before, whose memory is free then.
    made = ops.matmul(top.per_layer_model_proj, x)
    made = ops.scale(made, hparams.embedding**-0.5).reshape(-1, spec.dim)
    made = ops.rms_norm(made, top.per_layer_proj_norm, hparams.epsilon).reshape(len(x), -1)
    looked_up = ops.scale(ops.embed(top.per_layer_token_embd, step.tokens), spec.dim**0.5)
    return ops.scale(ops.add(made, looked_up), 0.5**0.5)


def from_token_row(layer: Layer, x: Array) -> Array | None:
    """What a layer adds to the residual by its part of the tokens' rows; None without any.

    x [rows, embedding] -> the same shape.
    """
    spec, ops = layer.spec.token_row, layer.ops
    if spec is None:
        return None
    start = spec.index * spec.dim
    row = layer.passed_on[TOKEN_ROWS][:, start : start + spec.dim]
    h = ops.gate("gelu", layer.linear("inp_gate", x), row)
    return layer.norm("post_norm", layer.linear("proj", h))
