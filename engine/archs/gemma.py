"""Gemma: GELU gate, scaled embeddings; since the second, norms on both sides of a block.

Gemma 2 (2024) caps scores and logits; Gemma 3 (2025) norms queries and keys instead and has five
local layers for each that sees everything. Gemma 3n (2025) has four streams, of which a layer
computes one, rows of each token for each layer, and layers that use the keys of earlier ones.
Gemma 4 (2026) keeps these rows and shared keys where the file has them; keys may also be values,
and a dense layer stands beside its experts.
"""

from __future__ import annotations

from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch, AttentionScale, Dense, Flow, Gate, LocalRope, Placement, QKNorm, Rope
from ..blocks.altup import AltUp
from .llama import LLAMA

GEMMA = replace(LLAMA, name="gemma", rope=Rope.HALVES, gate=Gate.GELU, scaled_embedding=True)
GEMMA2 = replace(
    LLAMA,
    name="gemma2",
    placement=Placement.SANDWICH,
    rope=Rope.HALVES,
    gate=Gate.GELU,
    scaled_embedding=True,
    window_period=2,
    default_window=4096,
    reads=(("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)),
)
GEMMA3 = replace(
    LLAMA,
    name="gemma3",
    placement=Placement.SANDWICH,
    rope=Rope.HALVES,
    gate=Gate.GELU,
    scaled_embedding=True,
    qk_norm=QKNorm.PER_HEAD,
    window_period=6,
    local_rope=LocalRope.OWN,
    reads=(("final_logit_softcapping", 0.0),),
)
GEMMA3N = replace(
    GEMMA3,
    name="gemma3n",
    flow=Flow.PREDICTED,
    altup=AltUp.read,
    gate=Gate.GELU_OF_TAIL,
    token_rows=256,
    first_sharing=20,
    value_norm=True,
    attention_scale=AttentionScale.ONE,
    window_period=5,
    reads=(("final_logit_softcapping", 30.0),),
)
GEMMA4 = replace(
    GEMMA3,
    name="gemma4",
    window_period=0,
    attention_scale=AttentionScale.ONE,
    keys_as_values=True,
    value_norm=True,
    first_sharing=0,
    token_rows=0,
    scaled_layers=True,
    dense=Dense.APART,
)
# The models of 27 billion weights scale scores by the width of the residual.
GEMMA2_WIDE = replace(GEMMA2, attention_scale=AttentionScale.ROOT_WIDTH)
GEMMA3_WIDE = replace(GEMMA3, attention_scale=AttentionScale.ROOT_WIDTH)


def gemma2(metadata: Metadata) -> Arch:
    """By the number of layers, as the file does not say it otherwise."""
    return GEMMA2_WIDE if metadata.integer("gemma2.block_count", 0) == 46 else GEMMA2


def gemma3(metadata: Metadata) -> Arch:
    """By the number of layers, as the file does not say it otherwise."""
    return GEMMA3_WIDE if metadata.integer("gemma3.block_count", 0) == 62 else GEMMA3
