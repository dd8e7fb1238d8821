"""Multi-head latent attention (DeepSeek-AI, V2, 2024), also with an indexer that chooses keys."""

from __future__ import annotations

from dataclasses import replace

from ..arch import (
    Attention,
    Clamp,
    FeedForward,
    Flow,
    Gate,
    Indexer,
    Nextn,
    OutputGate,
    Router,
    TemperatureLayers,
    YarnLog,
)
from ..blocks.residuals import HyperConnections
from .llama import LLAMA

DEEPSEEK2 = replace(
    LLAMA,
    name="deepseek2",
    attention=Attention.LATENT,
    yarn_log=YarnLog.TENTHS_EVEN,
    normed_weights=False,
    temperature=TemperatureLayers.ALL,
    nextn=Nextn.NORMED,
    reads=(("attention.temperature_scale", 0.0), ("attention.temperature_length", 0.0)),
)
PLM = replace(
    LLAMA,
    name="plm",
    attention=Attention.LATENT,
    gate=Gate.RELU_SQUARED,
    feed_forward=FeedForward.PLAIN,
)
MISTRAL4 = replace(DEEPSEEK2, name="mistral4", yarn_log=YarnLog.TENTHS, nextn=Nextn.NONE)
DEEPSEEK32 = replace(
    LLAMA,
    name="deepseek32",
    attention=Attention.LATENT,
    yarn_log=YarnLog.TENTHS,
    indexer=Indexer.KEYS,
    router=Router.SIGMOID,
    normed_weights=False,
    nextn=Nextn.NORMED,
)
GLM_DSA = replace(DEEPSEEK32, name="glm-dsa", indexer_rope_as_others=True)
DOTS3NOTE = replace(
    DEEPSEEK32,
    name="dots3note",
    yarn_log=YarnLog.NONE,
    output_gate=OutputGate.SIGMOID,
    window_period=0,
    nextn=Nextn.NONE,
)
HY_V4 = replace(
    DEEPSEEK32,
    name="hy_v4",
    flow=Flow.MIXED,
    residual=HyperConnections.read,
    yarn_log=YarnLog.NONE,
    output_gate=OutputGate.SIGMOID,
    clamp=Clamp.GATE,
    indexer_rope_as_others=True,
    indexer_rope_last=True,
    indexer_epsilon=True,
    nextn=Nextn.NONE,
)
