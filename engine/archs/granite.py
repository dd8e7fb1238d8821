"""Models whose file has scales for embeddings, residual and logits: MiniCPM, Granite, Grok.

Grok (xAI, 2024) caps scores and norms both sides of a block; a dense layer runs beside its experts.
"""

from __future__ import annotations

from dataclasses import replace

from ...formats.metadata import Metadata
from ..arch import Arch, Attention, Dense, Gate, Placement, Rope, RopeLayers
from ..blocks.adapters import Adapters
from .llama import LLAMA

SCALES = (
    ("embedding_scale", 0.0),
    ("residual_scale", 0.0),
    ("logit_scale", 0.0),
    ("attention.scale", 0.0),
)
GRANITE = replace(LLAMA, name="granite", reads=SCALES, divided_logits=True)
GRANITE_UNTURNED = replace(GRANITE, rope=Rope.NONE)
GRANITEMOE = replace(GRANITE, name="granitemoe")
GRANITE_SWA = replace(GRANITE, name="granite_swa", window_period=0, rope_layers=RopeLayers.LISTED)


def granite(metadata: Metadata) -> Arch:
    """Files that say that the angles were not trained have none."""
    turned = metadata.boolean("granite.rope.scaling.finetuned", True)
    return GRANITE if turned else GRANITE_UNTURNED


GRANITE_SWITCH = replace(
    LLAMA, name="graniteswitch", reads=SCALES, divided_logits=True, adapters=Adapters.read
)
GRANITE_SWITCH_UNTURNED = replace(GRANITE_SWITCH, rope=Rope.NONE)


def granite_switch(metadata: Metadata) -> Arch:
    """Files that say that the angles were not trained have none."""
    turned = metadata.boolean("graniteswitch.rope.scaling.finetuned", True)
    return GRANITE_SWITCH if turned else GRANITE_SWITCH_UNTURNED


MINICPM = replace(
    LLAMA,
    name="minicpm",
    divided_logits=True,
    depth_scale=1.4,
    base_width=256.0,
    reads=(("embedding_scale", 12.0), ("residual_scale", 0.0), ("logit_scale", 0.0)),
)
MINICPM3 = replace(
    LLAMA,
    name="minicpm3",
    attention=Attention.LATENT,
    rope=Rope.HALVES,
    depth_scale=1.4,
    base_width=256.0,
    reads=(("embedding_scale", 12.0),),
)
GROK = replace(
    LLAMA,
    name="grok",
    placement=Placement.SANDWICH,
    names=(("post_attention_norm", "attn_output_norm"), ("post_ffw_norm", "layer_output_norm")),
    rope=Rope.HALVES,
    gate=Gate.GELU,
    dense=Dense.BESIDE,
    expert_mix=0.5**0.5,
    reads=(
        ("embedding_scale", 78.38367176906169),
        ("logit_scale", 0.5773502691896257),
        ("attention.output_scale", 0.08838834764831845),
        ("attn_logit_softcapping", 30.0),
        ("final_logit_softcapping", 0.0),
    ),
)
