"""LLaMA (Touvron et al., 2023) and its nearest kin: RMS norm, rotary positions, SiLU gate."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import (
    Arch,
    FeedForward,
    Flow,
    Gate,
    OutputGate,
    QKNorm,
    Rope,
    RopeLayers,
    Router,
    TemperatureLayers,
    Window,
)

FFN_BIASES = ("ffn_gate.bias", "ffn_up.bias", "ffn_down.bias")
OUT_BIAS = ("attn_output.bias",)

LLAMA = Arch(name="llama", rope_factors=True, normed_weights=True)
DECI = replace(LLAMA, name="deci")
INTERNLM2 = replace(LLAMA, name="internlm2")
XVERSE = replace(LLAMA, name="xverse")
ERNIE4_5 = replace(LLAMA, name="ernie4_5", unread=OUT_BIAS)
ERNIE4_5_MOE = replace(ERNIE4_5, name="ernie4_5-moe")
ARCEE = replace(LLAMA, name="arcee", gate=Gate.RELU_SQUARED, feed_forward=FeedForward.PLAIN)
SMOLLM3 = replace(LLAMA, name="smollm3", rope_layers=RopeLayers.SKIP_FOURTH)
# BitNet (Wang et al., 2023); a scale per matrix is in files whose weights are ternary.
BITNET = replace(LLAMA, name="bitnet", rope=Rope.HALVES, rope_factors=False, inner_norms=True)
MAINCODER = replace(LLAMA, name="maincoder", qk_norm=QKNorm.PER_HEAD, qk_norm_after_rope=True)
MISTRAL3 = replace(
    LLAMA,
    name="mistral3",
    temperature=TemperatureLayers.ALL,
    reads=(("attention.temperature_scale", 0.0),),
)
NANBEIGE = replace(LLAMA, name="nanbeige", flow=Flow.LOOPS)
HRM_TEXT = replace(
    LLAMA,
    name="hrm_text",
    flow=Flow.NESTED,
    norm_weights=False,
    rope=Rope.HALVES,
    output_gate=OutputGate.SIGMOID,
    reads=(("embedding_scale", 0.0),),
)
REFACT = replace(
    LLAMA,
    name="refact",
    rope=Rope.NONE,
    reads=(("attention.max_alibi_bias", 8.0),),
    unread=(*OUT_BIAS, *FFN_BIASES),
)
REFACT_BARE = replace(REFACT, feed_forward=FeedForward.BARE)


def refact(metadata: Metadata, tensors: Container[str]) -> Arch:
    """Files with experts in place of a dense layer use neither, as in llama.cpp."""
    return REFACT if "blk.0.ffn_up.weight" in tensors else REFACT_BARE


# Baichuan turns queries and keys in its model of 32 layers, and has slopes in that of 40.
BAICHUAN = replace(LLAMA, name="baichuan")
BAICHUAN_PLAIN = replace(LLAMA, name="baichuan", rope=Rope.NONE)
BAICHUAN_SLOPES = replace(BAICHUAN_PLAIN, reads=(("attention.max_alibi_bias", 8.0),))


def baichuan(metadata: Metadata) -> Arch:
    """By the number of layers, as the file does not say it otherwise."""
    layers = metadata.integer("baichuan.block_count", 0)
    return {32: BAICHUAN, 40: BAICHUAN_SLOPES}.get(layers, BAICHUAN_PLAIN)


LLAMA4 = replace(
    LLAMA,
    name="llama4",
    window=Window.CHUNKED,
    window_period=4,
    default_window=8192,
    fixed_window=8192,
    rope_layers=RopeLayers.SKIP_FOURTH,
    qk_norm=QKNorm.UNWEIGHTED,
    qk_norm_after_rope=True,
    temperature=TemperatureLayers.WITHOUT_ROPE,
    reads=(("attention.temperature_scale", 0.1), ("attention.temperature_length", 8192.0)),
    router=Router.SIGMOID,
    normed_weights=False,
    weights_first=True,
)
LLAMA4_MAVERICK = replace(LLAMA4, qk_norm=QKNorm.NONE)


def llama4(metadata: Metadata) -> Arch:
    """The model of 128 experts has no norm of queries and keys."""
    experts = metadata.integer("llama4.expert_count", 0)
    return LLAMA4_MAVERICK if experts == 128 else LLAMA4
