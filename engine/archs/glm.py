"""GLM (Zhipu): gate and up in one matrix; the fourth norms both sides of a block."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import numpy as np

from ...formats.metadata import Metadata
from ..arch import Arch, FeedForward, Nextn, Placement, QKNorm, Rope, Router
from .llama import LLAMA

CHATGLM = replace(LLAMA, name="chatglm", feed_forward=FeedForward.FUSED)
GLM4 = replace(LLAMA, name="glm4", feed_forward=FeedForward.FUSED, placement=Placement.SANDWICH)
GLM4_VISION = replace(GLM4, rope=Rope.HALVES)


def glm4(metadata: Metadata) -> Arch:
    """Models with vision, whose file has sections of angles, turn halves."""
    sections = metadata.get("glm4.rope.dimension_sections")
    both = isinstance(sections, np.ndarray) and bool((sections[:2] > 0).all())
    return GLM4_VISION if both else GLM4


GLM4MOE = replace(
    LLAMA,
    name="glm4moe",
    names=(("ffn_norm", "post_attention_norm"),),
    rope=Rope.HALVES,
    router=Router.SIGMOID,
    normed_weights=False,
    nextn=Nextn.NORMED,
)
GLM4MOE_NORMED = replace(GLM4MOE, qk_norm=QKNorm.PER_HEAD)


def glm4moe(metadata: Metadata, tensors: Container[str]) -> Arch:
    """Queries and keys are normed where the file has the norms."""
    return GLM4MOE_NORMED if "blk.0.attn_q_norm.weight" in tensors else GLM4MOE
