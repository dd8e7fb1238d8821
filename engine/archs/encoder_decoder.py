"""Encoder-decoders: one stack reads a source, the other answers to it (T5, Raffel et al., 2019).

The answering stack is a decoder whose layers attend to the source's rows too. A row of it sees what
is behind it, so all buckets of its relative bias are for that.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch
from .encoder import T5_ENCODER, T5_ENCODER_RELU

T5 = replace(
    T5_ENCODER,
    name="t5",
    blocks="dec.blk",
    names=(
        ("output_norm", "dec.output_norm"),
        ("attn_output", "attn_o"),
        ("cross_attn_output", "cross_attn_o"),
    ),
    causal=True,
    embeds=False,
    source=replace(T5_ENCODER, name="t5"),
)
T5_RELU = replace(
    T5,
    gate=T5_ENCODER_RELU.gate,
    feed_forward=T5_ENCODER_RELU.feed_forward,
    source=replace(T5_ENCODER_RELU, name="t5"),
)


def t5(metadata: Metadata, tensors: Container[str]) -> Arch:
    """The first T5 has no gate."""
    return T5 if "dec.blk.0.ffn_gate.weight" in tensors else T5_RELU
