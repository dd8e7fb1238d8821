"""Tiny checkpoints in Hugging Face's form, the same bytes everywhere: what the converters are
compared on.

write(Path("folder"), "bert")
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DIM, FF, LAYERS, HEADS, VOCABULARY = 64, 96, 2, 4, 300
COMMON = {
    "hidden_size": DIM,
    "intermediate_size": FF,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 48,
    "vocab_size": VOCABULARY,
}
DECODER = COMMON | {
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-5,
    "rope_theta": 20000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
TIED = {"tie_word_embeddings": True, "hidden_activation": "gelu_pytorch_tanh"}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": COMMON
    | {"architectures": ["BertModel"], "model_type": "bert", "layer_norm_eps": 1e-12}
    | {"type_vocab_size": 2, "hidden_act": "gelu"},
    "llama": DECODER | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "qwen2": DECODER | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "qwen3": DECODER | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
    "gemma": DECODER | TIED | {"architectures": ["GemmaForCausalLM"], "model_type": "gemma"},
    "gemma2": DECODER
    | TIED
    | {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "sliding_window": 16}
    | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
    | {"query_pre_attn_scalar": 16},
    "gemma3": DECODER
    | TIED
    | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "sliding_window": 16}
    | {"query_pre_attn_scalar": 16, "rope_local_base_freq": 10000.0},
}


def shapes(family: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a family's tensors."""
    yield from _bert() if family == "bert" else _decoder(family)


def _linear(
    name: str, rows: int, columns: int, bias: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _bert() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "embeddings.word_embeddings.weight", (VOCABULARY, DIM)
    yield "embeddings.position_embeddings.weight", (48, DIM)
    yield "embeddings.token_type_embeddings.weight", (2, DIM)
    norms = ["embeddings.LayerNorm"]
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _linear(f"{layer}.attention.{part}", DIM, DIM, True)
        yield from _linear(f"{layer}.intermediate.dense", FF, DIM, True)
        yield from _linear(f"{layer}.output.dense", DIM, FF, True)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        yield f"{norm}.weight", (DIM,)
        yield f"{norm}.bias", (DIM,)
    yield from _linear("pooler.dense", DIM, DIM, True)


def _decoder(family: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (VOCABULARY, DIM)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        for part, rows in (("q", 64), ("k", 32), ("v", 32)):
            yield from _linear(f"{layer}.self_attn.{part}_proj", rows, DIM, family == "qwen2")
        yield f"{layer}.self_attn.o_proj.weight", (DIM, 64)
        for part, rows, columns in (("gate", FF, DIM), ("up", FF, DIM), ("down", DIM, FF)):
            yield f"{layer}.mlp.{part}_proj.weight", (rows, columns)
        norms = ["input_layernorm", "post_attention_layernorm"]
        if family in ("gemma2", "gemma3"):
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for norm in norms:
            yield f"{layer}.{norm}.weight", (DIM,)
        if family in ("qwen3", "gemma3"):
            yield f"{layer}.self_attn.q_norm.weight", (16,)
            yield f"{layer}.self_attn.k_norm.weight", (16,)
    yield "model.norm.weight", (DIM,)
    if not CONFIGS[family]["tie_word_embeddings"]:
        yield "lm_head.weight", (VOCABULARY, DIM)


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """normal(0, 0.1), near one for norms; BF16 numbers, so that every type has rounding to do or
    none.
    """
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
    return values + np.float32(1) if "norm" in name.lower() and name.endswith("weight") else values


def tokenizer(family: str) -> dict[str, Any]:
    """tokenizer.json: WordPiece or bytes, with special tokens in front."""
    if family == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        letters = [chr(ord("a") + i) for i in range(26)]
        words = [*letters, *(f"##{c}" for c in letters), "the", "##ing", ".", ","]
        tokens = special + words
        tokens += [f"word{i}" for i in range(VOCABULARY - len(tokens))]
        model: dict[str, Any] = {"type": "WordPiece", "unk_token": "[UNK]"}
        model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
        sentence = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]
        sentence += [{"Sequence": {"id": "A", "type_id": 0}}]
        sentence += [{"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
        pair = [*sentence, {"Sequence": {"id": "B", "type_id": 1}}]
        pair += [{"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
        ids = {t: {"id": t, "ids": [tokens.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}
        around = {"type": "TemplateProcessing", "single": sentence, "pair": pair}
        rest = {
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": True}
            | {"handle_chinese_chars": True, "strip_accents": None},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": around | {"special_tokens": ids},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        }
    else:
        special = ["<s>", "</s>"]
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        letters = [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]
        tokens = [*special, *letters, "th", "the", "in", "ing"]
        tokens += [f"zz{i}" for i in range(VOCABULARY - len(tokens))]
        merges = ["t h", "th e", "i n", "in g"]
        model = {"type": "BPE", "merges": merges, "ignore_merges": False, "byte_fallback": False}
        model |= {"dropout": None, "unk_token": None, "fuse_unk": False}
        model |= {"continuing_subword_prefix": None, "end_of_word_suffix": None}
        rest = {
            "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}
            | {"trim_offsets": True, "use_regex": True},
            "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True}
            | {"trim_offsets": True, "use_regex": True},
        }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": i, "content": t, "special": True} | flags for i, t in enumerate(special)]
    model["vocab"] = {token: i for i, token in enumerate(tokens)}
    return (
        {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
        | rest
        | {"model": model}
    )


def save_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A safetensors file of float32."""
    header, end = {}, 0
    for name, values in tensors.items():
        offsets = [end, end + values.nbytes]
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": offsets}
        end += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(values.tobytes() for values in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write(folder: Path, family: str) -> None:
    """All files of a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "model.safetensors", {n: weights(n, s) for n, s in shapes(family)})
    (folder / "config.json").write_text(json.dumps(CONFIGS[family]))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(family)))
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    special |= {"unk_token": "[UNK]", "mask_token": "[MASK]", "tokenizer_class": "BertTokenizer"}
    if family != "bert":
        special = {"bos_token": "<s>", "eos_token": "</s>"}
        special |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(special))
    if family == "bert":
        (folder / "1_Pooling").mkdir(exist_ok=True)
        pooling = {"word_embedding_dimension": DIM, "pooling_mode_mean_tokens": True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
        module = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
        (folder / "modules.json").write_text(json.dumps([module]))
