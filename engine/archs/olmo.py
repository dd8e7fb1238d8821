"""OLMo (AI2, 2024): a norm without weights; then norms behind a block's parts and across heads."""

from __future__ import annotations

from dataclasses import replace

from ..arch import LocalRope, Norm, Placement, QKNorm, Rope
from .llama import LLAMA

OLMO = replace(
    LLAMA,
    name="olmo",
    norm=Norm.LAYER,
    norm_weights=False,
    reads=(("attention.clamp_kqv", 0.0),),
)
OLMO2 = replace(
    LLAMA,
    name="olmo2",
    placement=Placement.POST,
    qk_norm=QKNorm.ACROSS,
    rope=Rope.HALVES,
    window_period=4,
    local_rope=LocalRope.PLAIN,
)
OLMOE = replace(LLAMA, name="olmoe", qk_norm=QKNorm.ACROSS, rope=Rope.HALVES, normed_weights=False)
