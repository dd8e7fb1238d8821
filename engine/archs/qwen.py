"""Qwen: angles in halves; since the third, a norm of queries and keys.

Models with vision turn text as the others do. Dream (2025) and RND1 (2025) are Qwens that predict
by diffusion.
"""

from __future__ import annotations

from dataclasses import replace

from ..arch import DenseWidth, QKNorm, Rope
from .llama import LLAMA

OUTPUT_BIAS = ("output.bias",)

QWEN2 = replace(LLAMA, name="qwen2", rope=Rope.HALVES)
QWEN = replace(QWEN2, name="qwen", dense_width=DenseWidth.HALF)
QWEN2VL = replace(
    QWEN2,
    name="qwen2vl",
    reads=(("attention.layer_norm_rms_epsilon", 0.0),),
    unread=OUTPUT_BIAS,
)
QWEN2MOE = replace(QWEN2, name="qwen2moe", normed_weights=False)
PADDLEOCR = replace(QWEN2, name="paddleocr")
DREAM = replace(QWEN2, name="dream", causal=False, unread=OUTPUT_BIAS)
QWEN3 = replace(LLAMA, name="qwen3", rope=Rope.HALVES, qk_norm=QKNorm.PER_HEAD)
QWEN3VL = replace(QWEN3, name="qwen3vl")
QWEN3TTS = replace(QWEN3, name="qwen3tts")
QWEN3MOE = replace(QWEN3, name="qwen3moe")
QWEN3VLMOE = replace(QWEN3, name="qwen3vlmoe")
RND1 = replace(QWEN3, name="rnd1", causal=False)
GROVEMOE = replace(QWEN3, name="grovemoe", small_experts=True)
