"""Delta-rule layers beside attention: Qwen3-Next and Qwen3.5 (2025), Kimi Linear and its kin."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from ...formats.metadata import Metadata
from ..arch import (
    Arch,
    Attention,
    Clamp,
    Flow,
    Gate,
    Indexer,
    Layers,
    Nextn,
    OutputGate,
    Placement,
    QKNorm,
    Rope,
    Router,
)
from ..blocks.gated_delta import GatedDelta
from ..blocks.kimi_delta import KimiDelta, Rank
from ..blocks.ngrams import Ngrams
from ..blocks.residuals import Checkpoints, HyperConnections, LowRankConnections
from .llama import LLAMA

QWEN35 = replace(
    LLAMA,
    name="qwen35",
    layers=Layers.LISTED,
    attention_period=4,
    mixer=GatedDelta.read,
    rope=Rope.HALVES,
    rope_factors=False,
    qk_norm=QKNorm.PER_HEAD,
    output_gate=OutputGate.WITH_QUERY,
    reads=(("attention.scale", 0.0),),
    names=(("ffn_norm", "post_attention_norm"),),
    nextn=Nextn.NORMED,
)
QWEN35MOE = replace(QWEN35, name="qwen35moe")
QWEN3NEXT = replace(QWEN35, name="qwen3next", mixer=partial(GatedDelta.read, mixed=True))
QWEN4EXP = replace(
    QWEN35,
    name="qwen4exp",
    mixer=partial(GatedDelta.read, gate="sigmoid"),
    inlet=Ngrams.read,
    indexer=Indexer.MEAN_POOLS,
    placement=Placement.BARE,
    flow=Flow.MIXED,
    residual=LowRankConnections.read,
    names=(),
    unread=("attn_q.bias", "attn_k.bias", "attn_v.bias"),
    nextn=Nextn.NONE,
)
KIMI_LINEAR = replace(
    LLAMA,
    name="kimi-linear",
    layers=Layers.BY_HEADS,
    mixer=KimiDelta.read,
    attention=Attention.LATENT,
    rope=Rope.NONE,
)
KIMI_K3 = replace(
    KIMI_LINEAR,
    name="kimi-k3",
    mixer=partial(KimiDelta.read, rank=Rank.DECAY),
    flow=Flow.MIXED,
    residual=Checkpoints.read,
    output_gate=OutputGate.SIGMOID,
    gate=Gate.SITU,
    normed_weights=False,
    reads=(("activation.situ_beta", 1.0), ("activation.situ_linear_beta", 0.0)),
)
GLM5_NEXT = replace(
    KIMI_LINEAR,
    name="glm5-next",
    mixer=partial(KimiDelta.read, unit_epsilon=1e-6),
    flow=Flow.MIXED,
    residual=partial(HyperConnections.read, headed=False),
    indexer=Indexer.GATED_POOLS,
    router=Router.SIGMOID,
    clamp=Clamp.GATE,
    normed_weights=False,
)
BAILINGMOE3 = replace(
    LLAMA,
    name="bailingmoe3",
    layers=Layers.BY_HEADS,
    mixer=partial(KimiDelta.read, rank=Rank.NEITHER, sign=1.0),
    attention=Attention.LATENT,
    output_gate=OutputGate.SIGMOID,
    rope_factors=False,
    normed_weights=False,
    nextn=Nextn.NORMED,
)
BAILINGMOE3_HALVES = replace(BAILINGMOE3, rope=Rope.HALVES)


def bailingmoe3(metadata: Metadata) -> Arch:
    """Models with vision, whose file has sections of angles, turn halves."""
    sections = metadata.get("bailingmoe3.rope.dimension_sections")
    both = isinstance(sections, np.ndarray) and bool((sections[:2] > 0).all())
    return BAILINGMOE3_HALVES if both else BAILINGMOE3
