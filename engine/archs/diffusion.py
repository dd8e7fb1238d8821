"""LLaDA (Nie et al., 2025): a LLaMA whose positions all see each other."""

from __future__ import annotations

from dataclasses import replace

from ..arch import QKNorm, Rope
from .llama import FFN_BIASES, LLAMA, OUT_BIAS

LLADA = replace(
    LLAMA,
    name="llada",
    causal=False,
    rope_factors=False,
    unread=(*OUT_BIAS, *FFN_BIASES),
)
LLADA_MOE = replace(
    LLADA,
    name="llada-moe",
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    normed_weights=False,
)
