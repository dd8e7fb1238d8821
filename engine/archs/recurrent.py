"""Models whose layers remember by a recurrence, alone or beside attention.

Mamba (Gu and Dao, 2023) and Mamba 2 (Dao and Gu, 2024) have nothing else; Jamba, PLaMo 2,
Granite 4, Nemotron-H and Falcon-H1 mix them with attention; LFM2 has short convolutions,
MiniMax-01 lightning attention.
"""

from __future__ import annotations

from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch, FeedForward, Gate, Layers, Placement, QKNorm, Rope, Router
from ..blocks.lightning import Lightning
from ..blocks.mamba import HeadedMamba, Mamba
from ..blocks.mamba2 import Mamba2
from ..blocks.short_conv import ShortConv
from .granite import SCALES
from .llama import LLAMA

MAMBA = replace(LLAMA, name="mamba", layers=Layers.MIXER, mixer=Mamba.read, rope=Rope.NONE)
MAMBA2 = replace(MAMBA, name="mamba2", mixer=Mamba2.read)
JAMBA = replace(MAMBA, name="jamba", layers=Layers.BY_HEADS, normed_weights=False)
FALCON_H1 = replace(
    LLAMA,
    name="falcon-h1",
    layers=Layers.BESIDE,
    mixer=Mamba2.read,
    rope=Rope.HALVES,
    rope_factors=False,
    reads=(("attention.scale", 0.0),),
    unread=("attn_output.bias",),
)
PLAMO2 = replace(
    LLAMA,
    name="plamo2",
    layers=Layers.BY_HEADS,
    mixer=HeadedMamba.read,
    placement=Placement.SANDWICH,
    rope=Rope.HALVES,
    rope_factors=False,
    qk_norm=QKNorm.EACH_HEAD,
    feed_forward=FeedForward.FUSED,
)
GRANITE_HYBRID = replace(
    LLAMA,
    name="granitehybrid",
    layers=Layers.BY_HEADS,
    mixer=Mamba2.read,
    reads=SCALES,
    divided_logits=True,
)
GRANITE_HYBRID_UNTURNED = replace(GRANITE_HYBRID, rope=Rope.NONE)


def granite_hybrid(metadata: Metadata) -> Arch:
    """Files that say that the angles were not trained have none."""
    turned = metadata.boolean("granitehybrid.rope.scaling.finetuned", True)
    return GRANITE_HYBRID if turned else GRANITE_HYBRID_UNTURNED


LFM2 = replace(
    LLAMA,
    name="lfm2",
    layers=Layers.BY_HEADS,
    mixer=ShortConv.read,
    rope=Rope.HALVES,
    rope_factors=False,
    qk_norm=QKNorm.PER_HEAD,
    window_period=0,
    names=(("output_norm", "token_embd_norm"),),
)
LFM2MOE = replace(LFM2, name="lfm2moe", window_period=None)
NEMOTRON_H = replace(
    LLAMA,
    name="nemotron_h",
    layers=Layers.ONE_OF_THREE,
    mixer=Mamba2.read,
    rope=Rope.NONE,
    gate=Gate.RELU_SQUARED,
    feed_forward=FeedForward.PLAIN,
    router=Router.SIGMOID,
    normed_weights=False,
    reads=(("attention.scale", 0.0),),
    names=(("ffn_routed_down", "ffn_latent_down"), ("ffn_routed_up", "ffn_latent_up")),
)
NEMOTRON_H_MOE = replace(NEMOTRON_H, name="nemotron_h_moe")
MINIMAX_01 = replace(
    LLAMA,
    name="minimax-01",
    layers=Layers.LISTED,
    attention_period=8,
    mixer=Lightning.read,
    placement=Placement.NORMED,
    rope=Rope.HALVES,
    rope_factors=False,
    reads=(("residual_scale", 1.0),),
)
