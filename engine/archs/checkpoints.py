"""Checkpoints: what each family's tensors and numbers are called in a Hugging Face folder.

A row of `numbers` is (GGUF key, its type, the configuration's key); a tensor is renamed by its
stem, and changed where the two formats lay the same weights out differently.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

Number = tuple[str, str, str]


class Change(Enum):
    """What becomes of a tensor's numbers."""

    PAIRS = auto()  # rows of a head: those of its halves become neighbours
    PLUS_ONE = auto()  # weights that the checkpoint holds as what is added to one


@dataclass(frozen=True)
class Checkpoint:
    """One family; `layer` is in front of a layer's stems, `{}` its number."""

    arch: str
    layer: str
    stems: dict[str, str]
    numbers: tuple[Number, ...]
    prefixes: tuple[str, ...] = ("model.",)
    # GGUF stem -> what changes; tensors that are not carried over.
    changes: dict[str, Change] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    # An encoder: rows see the whole text, and there is a pooling.
    encodes: bool = False


SIZES = (
    ("block_count", "u32", "num_hidden_layers"),
    ("context_length", "u32", "max_position_embeddings"),
    ("embedding_length", "u32", "hidden_size"),
    ("feed_forward_length", "u32", "intermediate_size"),
    ("attention.head_count", "u32", "num_attention_heads"),
)
DECODER_SIZES = (
    *SIZES,
    ("attention.head_count_kv", "u32", "num_key_value_heads"),
    ("attention.layer_norm_rms_epsilon", "f32", "rms_norm_eps"),
    ("attention.key_length", "u32", "head_dim"),
    ("attention.value_length", "u32", "head_dim"),
    ("rope.freq_base", "f32", "rope_theta"),
    ("vocab_size", "u32", "vocab_size"),
)

BERT = Checkpoint(
    arch="bert",
    layer="encoder.layer.{}.",
    stems={
        "embeddings.word_embeddings": "token_embd",
        "embeddings.position_embeddings": "position_embd",
        "embeddings.token_type_embeddings": "token_types",
        "embeddings.LayerNorm": "token_embd_norm",
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down",
        "output.LayerNorm": "layer_output_norm",
        "classifier": "cls.output",
    },
    numbers=(*SIZES, ("attention.layer_norm_epsilon", "f32", "layer_norm_eps")),
    prefixes=("bert.",),
    skipped=("embeddings.position_ids", "pooler.", "cls."),
    encodes=True,
)
LLAMA = Checkpoint(
    arch="llama",
    layer="layers.{}.",
    stems={
        "embed_tokens": "token_embd",
        "norm": "output_norm",
        "lm_head": "output",
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    numbers=DECODER_SIZES,
    changes={"attn_q": Change.PAIRS, "attn_k": Change.PAIRS},
    skipped=("rotary_emb.inv_freq",),
)
QWEN2 = replace(LLAMA, arch="qwen2", changes={})
QK_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
QWEN3 = replace(QWEN2, arch="qwen3", stems={**LLAMA.stems, **QK_NORMS})
GEMMA_NORMS = ("attn_norm", "ffn_norm", "output_norm")
SANDWICH = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
GEMMA = replace(QWEN2, arch="gemma", changes=dict.fromkeys(GEMMA_NORMS, Change.PLUS_ONE))
GEMMA2 = replace(
    GEMMA,
    arch="gemma2",
    stems={**LLAMA.stems, **SANDWICH},
    numbers=(
        *DECODER_SIZES,
        ("attention.sliding_window", "u32", "sliding_window"),
        ("attn_logit_softcapping", "f32", "attn_logit_softcapping"),
        ("final_logit_softcapping", "f32", "final_logit_softcapping"),
    ),
    changes=dict.fromkeys((*GEMMA_NORMS, "post_attention_norm", "post_ffw_norm"), Change.PLUS_ONE),
)
GEMMA3 = replace(
    GEMMA2,
    arch="gemma3",
    stems={**LLAMA.stems, **SANDWICH, **QK_NORMS},
    numbers=(
        *DECODER_SIZES,
        ("attention.sliding_window", "u32", "sliding_window"),
        ("final_logit_softcapping", "f32", "final_logit_softcapping"),
    ),
    changes=GEMMA2.changes | dict.fromkeys(("attn_q_norm", "attn_k_norm"), Change.PLUS_ONE),
)

# By the first of a configuration's `architectures`.
CHECKPOINTS: dict[str, Checkpoint] = {
    "BertModel": BERT,
    "BertForMaskedLM": BERT,
    "BertForSequenceClassification": BERT,
    "LlamaForCausalLM": LLAMA,
    "Qwen2ForCausalLM": QWEN2,
    "Qwen3ForCausalLM": QWEN3,
    "GemmaForCausalLM": GEMMA,
    "Gemma2ForCausalLM": GEMMA2,
    "Gemma3ForCausalLM": GEMMA3,
}
