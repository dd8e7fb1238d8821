"""RWKV 6 and 7 (Peng et al., 2024, 2025), and Qwens with one of them in attention's place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..arch import Layers, Norm, Rope
from ..blocks.rwkv import Rwkv6, Rwkv7
from .llama import LLAMA

RWKV7 = replace(
    LLAMA,
    name="rwkv7",
    norm=Norm.LAYER,
    normed_embedding=True,
    names=(("ffn_norm", "attn_norm_2"),),
    layers=Layers.MIXER_FED,
    mixer=Rwkv7.read,
    rope=Rope.NONE,
)
RWKV6 = replace(RWKV7, name="rwkv6", mixer=Rwkv6.read)
ARWKV7 = replace(
    LLAMA,
    name="arwkv7",
    layers=Layers.MIXER_FED,
    mixer=partial(Rwkv7.read, fed=False),
    rope=Rope.NONE,
)
RWKV6QWEN2 = replace(ARWKV7, name="rwkv6qwen2", mixer=partial(Rwkv6.read, fed=False))
