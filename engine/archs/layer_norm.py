"""Decoders with layer norm, after GPT-2 (Radford et al., 2019): positions, slopes or angles."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch, AttentionScale, FeedForward, Gate, Norm, Placement, QKNorm, Rope
from .llama import LLAMA

GPT2 = replace(
    LLAMA,
    name="gpt2",
    norm=Norm.LAYER,
    rope=Rope.NONE,
    learned_positions=True,
    gate=Gate.GELU,
    feed_forward=FeedForward.PLAIN,
)
STARCODER = replace(GPT2, name="starcoder")
BLOOM = replace(
    GPT2,
    name="bloom",
    learned_positions=False,
    normed_embedding=True,
    reads=(("attention.max_alibi_bias", 8.0),),
)
MPT = replace(
    LLAMA,
    name="mpt",
    norm=Norm.LAYER,
    rope=Rope.NONE,
    learned_positions=True,
    gate=Gate.GELU,
    feed_forward=FeedForward.PLAIN,
    reads=(("attention.max_alibi_bias", 0.0), ("attention.clamp_kqv", 0.0)),
)
MPT_NORMED = replace(MPT, qk_norm=QKNorm.ACROSS)


def mpt(metadata: Metadata, tensors: Container[str]) -> Arch:
    """Queries and keys are normed where the file has the queries' norm."""
    return MPT_NORMED if "blk.0.attn_q_norm.weight" in tensors else MPT


ORION = replace(LLAMA, name="orion", norm=Norm.LAYER, rope=Rope.HALVES)
STARCODER2 = replace(
    LLAMA,
    name="starcoder2",
    norm=Norm.LAYER,
    rope=Rope.HALVES,
    gate=Gate.GELU,
    feed_forward=FeedForward.PLAIN,
)
CODESHELL = replace(STARCODER2, name="codeshell")
GPTNEOX = replace(STARCODER2, name="gptneox")
GPTNEOX_PARALLEL = replace(STARCODER2, name="gptneox", placement=Placement.PARALLEL)


def gptneox(metadata: Metadata) -> Arch:
    """By the file's `use_parallel_residual`."""
    parallel = metadata.boolean("gptneox.use_parallel_residual")
    return GPTNEOX_PARALLEL if parallel else GPTNEOX


PHI2 = replace(
    LLAMA,
    name="phi2",
    norm=Norm.LAYER,
    placement=Placement.PARALLEL,
    rope=Rope.HALVES,
    gate=Gate.GELU,
    feed_forward=FeedForward.PLAIN,
)
FALCON = replace(PHI2, name="falcon")
POCKETTTS = replace(
    LLAMA, name="pockettts", norm=Norm.LAYER, gate=Gate.GELU, feed_forward=FeedForward.PLAIN
)
JAIS = replace(
    LLAMA,
    name="jais",
    norm=Norm.LAYER,
    rope=Rope.NONE,
    attention_scale=AttentionScale.LINEAR,
    reads=(("attention.max_alibi_bias", 0.0),),
)
NEMOTRON = replace(
    LLAMA,
    name="nemotron",
    norm=Norm.LAYER,
    rope=Rope.HALVES,
    gate=Gate.RELU_SQUARED,
    feed_forward=FeedForward.PLAIN,
)
JAIS2 = replace(NEMOTRON, name="jais2")
STABLELM = replace(
    LLAMA,
    name="stablelm",
    norm=Norm.LAYER,
    rope=Rope.HALVES,
    qk_norm=QKNorm.EACH_HEAD,
)
STABLELM_PARALLEL = replace(STABLELM, placement=Placement.PARALLEL)


def stablelm(metadata: Metadata, tensors: Container[str]) -> Arch:
    """Both parts of a block share a norm where the file has no second one."""
    return STABLELM if "blk.0.ffn_norm.weight" in tensors else STABLELM_PARALLEL


DBRX = replace(
    ORION,
    name="dbrx",
    names=(("ffn_norm", "attn_output_norm"),),
    reads=(("attention.clamp_kqv", 0.0),),
)
