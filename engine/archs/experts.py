"""Mixtures of experts with grouped attention: what sets routers, windows and gates apart."""

from __future__ import annotations

from dataclasses import replace

from ..arch import (
    Clamp,
    Dense,
    DenseWidth,
    Gate,
    Indexer,
    LocalRope,
    Nextn,
    OutputGate,
    Placement,
    QKNorm,
    Rope,
    RopeLayers,
    Router,
)
from .llama import LLAMA

DEEPSEEK = replace(LLAMA, name="deepseek", normed_weights=False)
BAILINGMOE = replace(LLAMA, name="bailingmoe", normed_weights=False)
ARCTIC = replace(LLAMA, name="arctic", dense=Dense.BEFORE, dense_width=DenseWidth.EMBEDDING)
DOTS1 = replace(
    LLAMA, name="dots1", rope=Rope.HALVES, qk_norm=QKNorm.PER_HEAD, normed_weights=False
)
BAILINGMOE2 = replace(DOTS1, name="bailingmoe2", router=Router.SIGMOID)
HY_V3 = replace(DOTS1, name="hy_v3", router=Router.SIGMOID, nextn=Nextn.NORMED)
EXAONE_MOE = replace(
    DOTS1, name="exaone-moe", window_period=4, default_window=128, rope_layers=RopeLayers.LOCAL
)
LAGUNA = replace(
    DOTS1,
    name="laguna",
    router=Router.SIGMOID,
    output_gate=OutputGate.SOFTPLUS,
    window_period=4,
    window_first=True,
    local_rope=LocalRope.PLAIN,
)
STEP35 = replace(
    DOTS1,
    name="step35",
    router=Router.SIGMOID,
    output_gate=OutputGate.SIGMOID,
    window_period=4,
    local_rope=LocalRope.TWICE,
    nextn=Nextn.BARE,
)
AFMOE = replace(
    DOTS1,
    name="afmoe",
    scaled_embedding=True,
    placement=Placement.SANDWICH,
    router=Router.SIGMOID,
    output_gate=OutputGate.SIGMOID,
    window_period=4,
    rope_layers=RopeLayers.SKIP_FOURTH,
)
MUSE_GLIMMER = replace(
    LLAMA,
    name="muse-glimmer",
    normed_embedding=True,
    placement=Placement.SANDWICH,
    post_norm_epsilon=1e-8,
    qk_norm=QKNorm.PER_HEAD,
    output_gate=OutputGate.SIGMOID,
    window_period=4,
    rope_layers=RopeLayers.LOCAL,
    reads=(("logit_scale", 0.0), ("final_logit_softcapping", 30.0)),
)
MELLUM = replace(
    LLAMA,
    name="mellum",
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    window_period=4,
    local_rope=LocalRope.PLAIN,
)
MAPLE = replace(
    LLAMA,
    name="maple",
    rope=Rope.HALVES,
    qk_norm=QKNorm.PER_HEAD,
    window_period=0,
    rope_layers=RopeLayers.LOCAL,
    clamp=Clamp.GATE,
)
MIMO2 = replace(
    LLAMA,
    name="mimo2",
    rope=Rope.HALVES,
    window_period=0,
    local_rope=LocalRope.OWN,
    router=Router.SIGMOID,
    reads=(("attention.value_scale", 0.0),),
    unread=("attn_q.bias", "attn_k.bias", "attn_v.bias"),
    nextn=Nextn.BARE,
)
SMALLTHINKER = replace(
    LLAMA,
    name="smallthinker",
    rope=Rope.HALVES,
    gate=Gate.RELU,
    window_period=4,
    window_first=True,
    fixed_window=4096,
    rope_layers=RopeLayers.SKIP_FIRST,
    routed_by_input=True,
)
GPT_OSS = replace(
    LLAMA,
    name="gpt-oss",
    names=(("ffn_norm", "post_attention_norm"),),
    rope=Rope.HALVES,
    window_period=2,
    gate=Gate.SWIGLU_OAI,
    router=Router.SOFTMAX_OF_CHOSEN,
    normed_weights=False,
)
MINIMAX_M2 = replace(
    LLAMA, name="minimax-m2", rope=Rope.HALVES, qk_norm=QKNorm.ACROSS, router=Router.SIGMOID
)
MINIMAX_M3 = replace(
    DOTS1,
    name="minimax-m3",
    router=Router.SIGMOID,
    gate=Gate.SWIGLU_OAI,
    indexer=Indexer.BLOCKS,
    indexer_rope_as_others=True,
)
