"""Encoders: every row sees all of its text, and the rows are what comes out (BERT, Devlin et al., 2018)."""

from __future__ import annotations

from dataclasses import replace

from ..arch import Arch, FeedForward, Gate, Norm, Placement, Rope

BERT = Arch(
    name="bert",
    names=(("post_attention_norm", "attn_output_norm"), ("post_ffw_norm", "layer_output_norm")),
    norm=Norm.LAYER,
    placement=Placement.SUMMED,
    normed_embedding=True,
    learned_positions=True,
    token_types=True,
    causal=False,
    embeds=True,
    rope=Rope.NONE,
    gate=Gate.GELU_ERF,
    feed_forward=FeedForward.PLAIN,
)
