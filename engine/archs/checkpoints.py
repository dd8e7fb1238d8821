"""Checkpoints: what each family's tensors and numbers are called in a Hugging Face folder.

A row of `numbers` is (GGUF key, its type, the configuration's key); a tensor is renamed by its
stem, and changed where the two formats lay the same weights out differently. Keys and changes are
those of llama.cpp's converter (conversion/{llama,qwen,gemma,bert}.py), what a configuration leaves
unsaid those of the family's configuration in transformers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

Number = tuple[str, str, str]


class Change(Enum):
    """What becomes of a tensor's numbers."""

    PAIRS = auto()  # rows of a head: those of its halves become neighbours
    # Weights that the checkpoint holds as what is added to one. In float32, as the model adds it;
    # llama.cpp's converter adds in the checkpoint's own type, which rounds where that is F16.
    PLUS_ONE = auto()


@dataclass(frozen=True)
class Checkpoint:
    """One family; `layer` is in front of a layer's stems, `{}` its number."""

    arch: str
    layer: str
    # Stems of tensors outside the layers, and of a layer's; those that a checkpoint may lack.
    stems: dict[str, str]
    layer_stems: dict[str, str]
    numbers: tuple[Number, ...]
    optional: tuple[str, ...] = ()
    # What may stand in front of a name, and of which tensors nothing is carried over.
    prefixes: tuple[str, ...] = ("model.",)
    skipped: tuple[str, ...] = ()
    # GGUF stem -> what changes.
    changes: dict[str, Change] = field(default_factory=dict)
    # What the configuration need not say; text names the key whose value it is.
    defaults: dict[str, Any] = field(default_factory=dict)
    activations: tuple[str, ...] = ("silu",)
    # An encoder: rows see the whole text, and there is a pooling.
    encodes: bool = False
    # Rotary angles: the file says their base (else only one that readers would not assume), a
    # second base for local layers, and may have a table of factors.
    says_base: bool = True
    local_base: bool = False
    rope_factors: bool = False
    # The vocabulary: keys that the family adds, and whether rows past its end are cut off.
    vocabulary: tuple[tuple[str, str, Any], ...] = ()
    cuts_rows: bool = False


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
)

BERT = Checkpoint(
    arch="bert",
    layer="encoder.layer.{}.",
    stems={
        "embeddings.word_embeddings": "token_embd",
        "embeddings.position_embeddings": "position_embd",
        "embeddings.token_type_embeddings": "token_types",
        "embeddings.LayerNorm": "token_embd_norm",
        "classifier": "cls.output",
    },
    layer_stems={
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down",
        "output.LayerNorm": "layer_output_norm",
    },
    optional=("classifier",),
    numbers=(*SIZES, ("attention.layer_norm_epsilon", "f32", "layer_norm_eps")),
    prefixes=("bert.",),
    skipped=("embeddings.position_ids", "pooler.", "cls."),
    defaults={"layer_norm_eps": 1e-12, "max_position_embeddings": 512, "type_vocab_size": 2},
    activations=("gelu", "gelu_new", "gelu_python", "gelu_pytorch_tanh"),
    encodes=True,
)
# Its scores are those of the first row's layer and the classifier behind it.
BERT_RANK = replace(
    BERT,
    stems=BERT.stems | {"pooler.dense": "cls"},
    optional=(),
    skipped=("embeddings.position_ids", "cls."),
)
LLAMA = Checkpoint(
    arch="llama",
    layer="layers.{}.",
    stems={"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"},
    layer_stems={
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
    numbers=(
        *DECODER_SIZES,
        ("vocab_size", "u32", "vocab_size"),
        ("rope.dimension_count", "u32", "head_dim"),
    ),
    changes={"attn_q": Change.PAIRS, "attn_k": Change.PAIRS},
    skipped=("rotary_emb.inv_freq",),
    defaults={
        "num_key_value_heads": "num_attention_heads",
        "head_dim": "width of a head",
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    rope_factors=True,
)
QWEN2 = replace(
    LLAMA,
    arch="qwen2",
    numbers=DECODER_SIZES,
    changes={},
    defaults={
        "num_key_value_heads": 32,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    rope_factors=False,
)
QK_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
QWEN3 = replace(
    QWEN2,
    arch="qwen3",
    layer_stems=LLAMA.layer_stems | QK_NORMS,
    defaults=QWEN2.defaults | {"head_dim": 128},
)
GEMMA_NORMS = ("attn_norm", "ffn_norm", "output_norm")
SANDWICH = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
NO_SPACE = ("tokenizer.ggml.add_space_prefix", "bool", False)
GEMMA = replace(
    LLAMA,
    arch="gemma",
    numbers=DECODER_SIZES,
    changes=dict.fromkeys(GEMMA_NORMS, Change.PLUS_ONE),
    defaults={
        "num_key_value_heads": 16,
        "head_dim": 256,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
    },
    activations=("gelu_pytorch_tanh", "gelu"),
    says_base=False,
    rope_factors=False,
    vocabulary=(("tokenizer.ggml.eot_token_id", "u32", 107), NO_SPACE),
)
GEMMA2 = replace(
    GEMMA,
    arch="gemma2",
    layer_stems=LLAMA.layer_stems | SANDWICH,
    numbers=(
        *DECODER_SIZES,
        ("attn_logit_softcapping", "f32", "attn_logit_softcapping"),
        ("final_logit_softcapping", "f32", "final_logit_softcapping"),
        ("attention.sliding_window", "u32", "sliding_window"),
    ),
    changes=dict.fromkeys((*GEMMA_NORMS, "post_attention_norm", "post_ffw_norm"), Change.PLUS_ONE),
    defaults=GEMMA.defaults
    | {"num_key_value_heads": 4, "sliding_window": 4096}
    | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    vocabulary=(NO_SPACE,),
)
GEMMA3 = replace(
    GEMMA2,
    arch="gemma3",
    layer_stems=LLAMA.layer_stems | SANDWICH | QK_NORMS,
    numbers=(
        *DECODER_SIZES,
        ("final_logit_softcapping", "f32", "final_logit_softcapping"),
        ("attention.sliding_window", "u32", "sliding_window"),
    ),
    changes=GEMMA2.changes | dict.fromkeys(("attn_q_norm", "attn_k_norm"), Change.PLUS_ONE),
    # Images are another model's: what turns them into rows is left out.
    skipped=(*GEMMA.skipped, "vision_tower.", "multi_modal_projector."),
    prefixes=("model.", "language_model.", "model."),
    defaults=GEMMA.defaults
    | {"num_attention_heads": 8, "num_key_value_heads": 4, "sliding_window": 4096}
    | {"max_position_embeddings": 131072, "rope_theta": 1e6, "rope_local_base_freq": 10000.0}
    | {"vocab_size": 262208},
    says_base=True,
    local_base=True,
    cuts_rows=True,
)

# By the first of a configuration's `architectures`.
CHECKPOINTS: dict[str, Checkpoint] = {
    "BertModel": BERT,
    "BertForMaskedLM": BERT,
    "BertForSequenceClassification": BERT_RANK,
    "LlamaForCausalLM": LLAMA,
    "Qwen2ForCausalLM": QWEN2,
    "Qwen3ForCausalLM": QWEN3,
    "GemmaForCausalLM": GEMMA,
    "Gemma2ForCausalLM": GEMMA2,
    "Gemma3ForCausalLM": GEMMA3,
    "Gemma3ForConditionalGeneration": GEMMA3,
}
