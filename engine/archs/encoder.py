"""Encoders: every row sees all of its text, and the rows are what comes out (BERT, Devlin et al.,
2018).

Kin of BERT norm the sums of a block; ModernBERT (2024), NeoBERT (2025) and EuroBERT (2025) norm its
inputs, as decoders do. Decoders that were trained on into encoders (Gemma, LLaMA) keep their form,
without the logits.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import (
    Arch,
    AttentionScale,
    FeedForward,
    Gate,
    LocalRope,
    Norm,
    Placement,
    QKNorm,
    Rope,
    Window,
)
from .gemma import GEMMA3
from .llama import LLAMA

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
JINA_BERT_V3 = replace(BERT, name="jina-bert-v3", learned_positions=False, rope=Rope.HALVES)
NOMIC_BERT_MOE = replace(JINA_BERT_V3, name="nomic-bert-moe")
NOMIC_BERT = replace(
    JINA_BERT_V3, name="nomic-bert", gate=Gate.SILU, feed_forward=FeedForward.GATED
)
JINA_BERT_V2 = replace(
    BERT,
    name="jina-bert-v2",
    learned_positions=False,
    feed_forward=FeedForward.GATED,
    reads=(("attention.max_alibi_bias", 8.0),),
)
JINA_BERT_V2_FUSED = replace(JINA_BERT_V2, feed_forward=FeedForward.FUSED)


def jina_bert_v2(metadata: Metadata, tensors: Container[str]) -> Arch:
    """Gate and up stand apart or in one matrix; queries and keys are normed where the file has
    norms.
    """
    arch = JINA_BERT_V2 if "blk.0.ffn_gate.weight" in tensors else JINA_BERT_V2_FUSED
    normed = "blk.0.attn_q_norm.weight" in tensors
    return replace(arch, qk_norm=QKNorm.ACROSS) if normed else arch


NEO_BERT = Arch(
    name="neo-bert",
    names=(("output_norm", "enc.output_norm"),),
    causal=False,
    embeds=True,
    feed_forward=FeedForward.FUSED,
)
EUROBERT = Arch(name="eurobert", causal=False, embeds=True, rope=Rope.HALVES)
MODERN_BERT = replace(
    EUROBERT,
    name="modern-bert",
    norm=Norm.LAYER,
    normed_embedding=True,
    window=Window.CENTRED,
    window_period=3,
    window_first=True,
    gate=Gate.GELU_ERF,
    feed_forward=FeedForward.FUSED,
)
MODERN_BERT_SILU = replace(MODERN_BERT, gate=Gate.SILU)


def modern_bert(metadata: Metadata) -> Arch:
    """By the file's `hidden_activation`, GELU if there is none."""
    kind = metadata.string("modern-bert.hidden_activation", "gelu")
    return MODERN_BERT_SILU if kind in ("silu", "swiglu") else MODERN_BERT


GEMMA_EMBEDDING = replace(
    GEMMA3,
    name="gemma-embedding",
    causal=False,
    embeds=True,
    window=Window.CENTRED,
    local_rope=LocalRope.OWN,
    unread=("output.weight",),
    reads=(),
)
LLAMA_EMBED = replace(
    LLAMA, name="llama-embed", causal=False, embeds=True, unread=("output.weight",)
)
T5_ENCODER = Arch(
    name="t5encoder",
    blocks="enc.blk",
    names=(("output_norm", "enc.output_norm"), ("attn_output", "attn_o")),
    causal=False,
    embeds=True,
    rope=Rope.NONE,
    attention_scale=AttentionScale.ONE,
    relative_bias=True,
    gate=Gate.GELU,
    reads=(("attention.relative_buckets_count", 32.0),),
)
T5_ENCODER_RELU = replace(T5_ENCODER, gate=Gate.RELU, feed_forward=FeedForward.PLAIN)


def t5_encoder(metadata: Metadata, tensors: Container[str]) -> Arch:
    """The first T5 (Raffel et al., 2019) has no gate."""
    return T5_ENCODER if "enc.blk.0.ffn_gate.weight" in tensors else T5_ENCODER_RELU
