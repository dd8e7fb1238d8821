"""Command R (Cohere, 2024): attention and feed-forward side by side behind one layer norm.

Command R7B turns local layers alone; its mixture of experts has an RMS norm where the file gives
its epsilon.
"""

from __future__ import annotations

from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch, Nextn, Norm, Placement, QKNorm, RopeLayers, Router
from .llama import LLAMA

COMMAND_R = replace(
    LLAMA,
    name="command-r",
    norm=Norm.LAYER,
    placement=Placement.PARALLEL,
    qk_norm=QKNorm.EACH_HEAD,
    reads=(("logit_scale", 0.0),),
)
COHERE2 = replace(
    COMMAND_R,
    name="cohere2",
    qk_norm=QKNorm.NONE,
    window_period=4,
    rope_layers=RopeLayers.LOCAL,
)
COHERE2MOE = replace(
    LLAMA,
    name="cohere2moe",
    placement=Placement.PARALLEL,
    window_period=4,
    window_first=True,
    rope_layers=RopeLayers.LOCAL_AND_DENSE,
    router=Router.SIGMOID,
    normed_weights=False,
    expert_mix=0.5,
    reads=(("logit_scale", 0.0),),
    nextn=Nextn.NORMED,
)
COHERE2MOE_LAYER = replace(COHERE2MOE, norm=Norm.LAYER)


def cohere2moe(metadata: Metadata) -> Arch:
    """By the epsilon that the file gives."""
    rms = metadata.number("cohere2moe.attention.layer_norm_rms_epsilon", 0.0)
    return COHERE2MOE if rms else COHERE2MOE_LAYER
