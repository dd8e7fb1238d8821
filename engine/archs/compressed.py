"""Attention over compressed keys: DeepSeek V4 (2026), with hyper-connections around its blocks."""

from __future__ import annotations

from dataclasses import replace

from ..arch import Clamp, Flow, Layers, Router
from ..blocks.compressed import Compressed
from ..blocks.residuals import HyperConnections
from .llama import LLAMA

DEEPSEEK4 = replace(
    LLAMA,
    name="deepseek4",
    layers=Layers.MIXER_FED,
    mixer=Compressed.read,
    flow=Flow.MIXED,
    residual=HyperConnections.read,
    rope_factors=False,
    router=Router.SQRT_SOFTPLUS,
    clamp=Clamp.GATE,
)
