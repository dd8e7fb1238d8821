"""Dense decoders that turn halves of a head: Phi, PLaMo, ExaOne, Hunyuan, OpenELM and others."""

from __future__ import annotations

from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import (
    Arch,
    FeedForward,
    Gate,
    LocalRope,
    OutputGate,
    Placement,
    QKNorm,
    Rope,
    RopeLayers,
)
from .llama import LLAMA

EXAONE = replace(LLAMA, name="exaone", rope=Rope.HALVES)
COGVLM = replace(EXAONE, name="cogvlm", rope_factors=False)
PANGU_EMBEDDED = replace(EXAONE, name="pangu-embedded", rope_factors=False)
SEED_OSS = replace(EXAONE, name="seed_oss", names=(("ffn_norm", "post_attention_norm"),))
OPENELM = replace(EXAONE, name="openelm", qk_norm=QKNorm.PER_HEAD)
PHI3 = replace(EXAONE, name="phi3", feed_forward=FeedForward.FUSED)
PHIMOE = replace(EXAONE, name="phimoe")
PLAMO = replace(LLAMA, name="plamo", rope=Rope.HALVES, placement=Placement.PARALLEL)
PLAMO3 = replace(
    LLAMA,
    name="plamo3",
    placement=Placement.SANDWICH,
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    feed_forward=FeedForward.FUSED,
    window_period=8,
    local_rope=LocalRope.OWN,
)
HUNYUAN_DENSE = replace(
    LLAMA,
    name="hunyuan-dense",
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    qk_norm_after_rope=True,
)
HUNYUAN_VL = replace(HUNYUAN_DENSE, name="hunyuan_vl")
HUNYUAN_MOE = replace(HUNYUAN_DENSE, name="hunyuan-moe")
APERTUS = replace(
    LLAMA,
    name="apertus",
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    gate=Gate.XIELU,
    feed_forward=FeedForward.PLAIN,
)
SPARK2_5 = replace(
    LLAMA,
    name="spark2_5",
    rope=Rope.HALVES,
    gate=Gate.GELU,
    output_gate=OutputGate.SIGMOID,
    window_period=0,
)
TALKIE = replace(
    LLAMA,
    name="talkie",
    norm_weights=False,
    normed_embedding=True,
    skip_embedding=True,
    rope=Rope.HALVES,
    qk_norm=QKNorm.GAIN,
    qk_norm_after_rope=True,
    reads=(("logit_scale", 0.0),),
)
EXAONE4 = replace(
    LLAMA,
    name="exaone4",
    placement=Placement.POST,
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
)
EXAONE4_LOCAL = replace(EXAONE4, window_period=4, default_window=4096, rope_layers=RopeLayers.LOCAL)


def exaone4(metadata: Metadata) -> Arch:
    """The model of 64 layers has windows."""
    layers = metadata.integer("exaone4.block_count", 0)
    return EXAONE4_LOCAL if layers == 64 else EXAONE4
