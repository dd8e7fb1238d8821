"""Gemma: norms on both sides of a block, GELU gate, embeddings scaled by sqrt(dim).

Gemma 3 (Gemma Team, 2025): five layers with a sliding window for each that sees everything.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import Gate, Placement, QKNorm, Rope
from .llama import LLAMA

GEMMA3 = replace(
    LLAMA,
    name="gemma3",
    placement=Placement.SANDWICH,
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    gate=Gate.GELU,
    scaled_embedding=True,
    window_period=6,
)
