"""Tiny checkpoints in Hugging Face's form, the same bytes everywhere: what the converters are
compared on.

    write(Path("folder"), "bert")

Each has something of its own: `llama3` a table of rotary factors, BF16 and a chat template;
`llama2` SentencePiece, F16, two files and sizes left unsaid; `qwen2` yarn, tied rows and more of
them than tokens; `qwen3` templates in files of their own and a pooling; the gemmas SentencePiece
with control tokens called ordinary; `gemma3-images` a configuration and names one level down;
`bert-rank` a classifier.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
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
GEMMA_IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}


def _without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


LLAMA_3_ROPE = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
GEMMA_3 = (
    _without(DECODER, "max_position_embeddings", "rope_theta", "rms_norm_eps")
    | TIED
    | GEMMA_IDS
    | {"model_type": "gemma3_text", "query_pre_attn_scalar": 16, "sliding_window": 16}
    | {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}}
)
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": COMMON
    | {"architectures": ["BertModel"], "model_type": "bert", "layer_norm_eps": 1e-12}
    | {"type_vocab_size": 2, "hidden_act": "gelu"},
    "bert-rank": COMMON
    | {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    | {"type_vocab_size": 2, "hidden_act": "gelu", "id2label": {"0": "LABEL_0"}},
    "llama": DECODER | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
    "llama3": DECODER
    | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    | {"rope_theta": 500000.0, "rope_scaling": LLAMA_3_ROPE, "max_position_embeddings": 131072},
    "llama2": _without(DECODER, "num_key_value_heads", "head_dim", "rope_theta", "rms_norm_eps")
    | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    | {"rope_scaling": {"type": "linear", "factor": 2.5}, "bos_token_id": 1, "eos_token_id": 2},
    "qwen2": DECODER
    | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 320}
    | {"tie_word_embeddings": True}
    | {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 12}},
    "qwen3": DECODER | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
    "gemma": DECODER
    | TIED
    | GEMMA_IDS
    | {"architectures": ["GemmaForCausalLM"], "model_type": "gemma", "rope_theta": 10000.0},
    "gemma2": _without(DECODER, "max_position_embeddings", "rope_theta", "rms_norm_eps")
    | TIED
    | GEMMA_IDS
    | {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "sliding_window": 16}
    | {"query_pre_attn_scalar": 16},
    "gemma3": GEMMA_3 | {"architectures": ["Gemma3ForCausalLM"]},
    "gemma3-images": {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3"}
    | {"text_config": _without(GEMMA_3, *GEMMA_IDS), **GEMMA_IDS},
}
DTYPES = {"llama3": "BF16", "llama2": "F16"}
TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>\n{% endfor %}"
TOOL_TEMPLATE = "{% if tools %}{{ tools | tojson }}{% endif %}" + TEMPLATE
LETTERS = [chr(ord("a") + i) for i in range(26)]

Shape = tuple[str, tuple[int, ...]]


# --- tensors --------------------------------------------------------------------------------------


def shapes(name: str) -> Iterator[Shape]:
    """Names and shapes of a checkpoint's tensors."""
    config = CONFIGS[name]
    if name == "bert":
        yield from _bert()
    elif name == "bert-rank":
        yield from ((f"bert.{key}", shape) for key, shape in _bert())
        yield from _linear("classifier", 1, DIM, True)
    elif "text_config" in config:
        for key, shape in _decoder(config["text_config"]):
            yield f"language_model.{key}", shape
        yield "vision_tower.vision_model.post_layernorm.weight", (8,)
        yield "multi_modal_projector.mm_soft_emb_norm.weight", (8,)
    else:
        yield from _decoder(config)


def _linear(name: str, rows: int, columns: int, bias: bool) -> Iterator[Shape]:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _bert() -> Iterator[Shape]:
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


def _decoder(config: dict[str, Any]) -> Iterator[Shape]:
    family = config["model_type"]
    yield "model.embed_tokens.weight", (config["vocab_size"], DIM)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        keys = 16 * config.get("num_key_value_heads", HEADS)
        for part, rows in (("q", 64), ("k", keys), ("v", keys)):
            yield from _linear(f"{layer}.self_attn.{part}_proj", rows, DIM, family == "qwen2")
        yield f"{layer}.self_attn.o_proj.weight", (DIM, 64)
        for part, rows, columns in (("gate", FF, DIM), ("up", FF, DIM), ("down", DIM, FF)):
            yield f"{layer}.mlp.{part}_proj.weight", (rows, columns)
        norms = ["input_layernorm", "post_attention_layernorm"]
        if family in ("gemma2", "gemma3_text"):
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for norm in norms:
            yield f"{layer}.{norm}.weight", (DIM,)
        if family in ("qwen3", "gemma3_text"):
            yield f"{layer}.self_attn.q_norm.weight", (16,)
            yield f"{layer}.self_attn.k_norm.weight", (16,)
    yield "model.norm.weight", (DIM,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (VOCABULARY, DIM)


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """normal(0, 0.1), near one for norms: float32, so that every other type has rounding to do."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
    return values + np.float32(1) if "norm" in name.lower() and name.endswith("weight") else values


def hard_rows() -> np.ndarray:
    """float32[4104, 64]: rows of all sizes, and zeros, equals, ties, single and tiny numbers.

    No -0: gguf's quantizers may give a scale of zero another sign than ggml's.
    """
    rng = np.random.Generator(np.random.PCG64(11))
    rows = rng.standard_normal((4104, 64), dtype=np.float32)
    rows *= np.float32(2) ** rng.integers(-20, 12, (4104, 1)).astype(np.float32)
    rows[0] = 0
    rows[1] = np.float32(-0.75)
    rows[2] = np.arange(64, dtype=np.float32) - 32
    rows[3] = np.where(np.arange(64) % 2, np.float32(3), np.float32(-3))
    rows[4] = np.eye(64, dtype=np.float32)[40]
    rows[5] = np.arange(64, dtype=np.float32) * np.float32(1e-30)
    rows[6:1000] = np.round(rows[6:1000] * 4) / 4
    return rows + np.float32(0)


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)
    return values.astype({"F32": np.float32, "F16": np.float16}[dtype])


def save_tensors(path: Path, tensors: dict[str, np.ndarray], dtype: str = "F32") -> None:
    """A safetensors file."""
    header, end, parts = {}, 0, []
    for name, values in tensors.items():
        parts.append(_stored(values, dtype).tobytes())
        offsets = [end, end + len(parts[-1])]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": offsets}
        end += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


# --- tokenizers -----------------------------------------------------------------------------------


def tokenizer(name: str) -> dict[str, Any]:
    """tokenizer.json: WordPiece or bytes, with special tokens in front."""
    bert = name.startswith("bert")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if bert else ["<s>", "</s>"]
    model, rest = _wordpiece(special) if bert else _bytes(special, name)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": i, "content": t, "special": True} | flags for i, t in enumerate(special)]
    if name == "qwen3":
        added += [{"id": 299, "content": "<tool_call>", "special": False} | flags]
        model["vocab"].pop("zz37")
    return (
        {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
        | rest
        | {"model": model}
    )


def _around(before: str, after: str, second: list[str], ids: dict[str, int]) -> dict[str, Any]:
    """A post-processor that puts tokens around one text, and between and after two."""

    def piece(token: str, type_id: int = 0) -> dict[str, Any]:
        kind = "Sequence" if token in ("A", "B") else "SpecialToken"
        return {kind: {"id": token, "type_id": type_id}}

    single = [piece(t) for t in (before, "A", after) if t]
    pair = [*single, *(piece(t, 1) for t in second)]
    tokens = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in ids.items()}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}


def _wordpiece(special: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    tokens = [*special, *LETTERS, *(f"##{c}" for c in LETTERS), "the", "##ing", ".", ","]
    tokens += [f"word{i}" for i in range(VOCABULARY - len(tokens))]
    model: dict[str, Any] = {"type": "WordPiece", "unk_token": "[UNK]"}
    model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    model |= {"vocab": {token: i for i, token in enumerate(tokens)}}
    return model, {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": True}
        | {"handle_chinese_chars": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _around("[CLS]", "[SEP]", ["B", "[SEP]"], {"[CLS]": 2, "[SEP]": 3}),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    }


CUTS = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def _bytes(special: list[str], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in shown] + [chr(256 + i) for i in range(256 - len(shown))]
    tokens = [*special, *letters, "th", "the", "in", "ing"]
    tokens += [f"zz{i}" for i in range(VOCABULARY - len(tokens))]
    merges: list[Any] = ["t h", "th e", "i n", "in g"]
    model: dict[str, Any] = {"type": "BPE", "merges": merges, "ignore_merges": name == "llama3"}
    model |= {"dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False}
    model |= {"continuing_subword_prefix": None, "end_of_word_suffix": None}
    model |= {"vocab": {token: i for i, token in enumerate(tokens)}}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    pre: dict[str, Any] = bytes_ | {"use_regex": True}
    post = None
    if cut := CUTS.get("qwen2" if name == "qwen3" else name):
        model["merges"] = [merge.split() for merge in merges]
        split = {"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated"}
        parts = [split | {"invert": False}, bytes_ | {"use_regex": False}]
        pre = {"type": "Sequence", "pretokenizers": parts}
        post = bytes_ | {"use_regex": False}
    if name == "llama3":
        around = _around("<s>", "", ["<s>", "B"], {"<s>": 0})
        post = {"type": "Sequence", "processors": [post, around]}
    return model, {
        "normalizer": None,
        "pre_tokenizer": pre,
        "post_processor": post,
        "decoder": bytes_ | {"add_prefix_space": True, "use_regex": True},
    }


def _field(number: int, value: bytes | int | float | str) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
WORDS = ["th", "\u2581the", "\u2581t", "in", "ing", "\u2581th", "he", "\u2581a", "\u2581b"]


def pieces(name: str) -> list[tuple[str, float, int]]:
    """SentencePiece's tokens, scores and kinds; merges with the better score come first."""
    gemma = name != "llama2"
    special = ["<pad>", "<eos>", "<bos>"] if gemma else ["<unk>", "<s>", "</s>"]
    found = [(text, 0.0, UNKNOWN if text == "<unk>" else CONTROL) for text in special]
    if gemma:
        found += [("<unk>", 0.0, UNKNOWN), ("<mask>", 0.0, USER_DEFINED)]
        found += [("<unused0>", 0.0, USER_DEFINED), ("\u2581\u2581", 0.0, USER_DEFINED)]
        found += [("<unused1>", 0.0, UNUSED)]
    found += [(f"<0x{b:02X}>", 0.0, BYTE) for b in range(256)]
    texts = [*WORDS, "\u2581", *LETTERS]
    found += [(text, -float(i), NORMAL) for i, text in enumerate(texts)]
    return found[: 298 if gemma else 296]


def sentencepiece(name: str) -> bytes:
    """tokenizer.model, with merges as Llama 2 and Gemma have them."""
    gemma = name != "llama2"
    named = (("<bos>", 46), ("<eos>", 47)) if gemma else ()
    trainer = _field(3, 2) + _field(35, 1) + b"".join(_field(n, text) for text, n in named)
    spaces = _field(3, int(not gemma)) + _field(4, 0) + _field(5, 1)
    parts = [
        _field(1, text) + _field(2, score) + _field(3, kind) for text, score, kind in pieces(name)
    ]
    listed = b"".join(_field(1, part) for part in parts)
    return listed + _field(2, trainer) + _field(3, _field(1, "identity") + spaces)


# --- files ----------------------------------------------------------------------------------------


def _save(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def write(folder: Path, name: str) -> None:
    """All files of a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "config.json", CONFIGS[name])
    _write_tensors(folder, name)
    if name.startswith("gemma") or name == "llama2":
        (folder / "tokenizer.model").write_bytes(sentencepiece(name))
    else:
        _save(folder / "tokenizer.json", tokenizer(name))
    _save(folder / "tokenizer_config.json", settings(name))
    for path, value in _others(name):
        _save(folder / path, value)


def _write_tensors(folder: Path, name: str) -> None:
    tensors = {n: weights(n, s) for n, s in shapes(name)}
    dtype = DTYPES.get(name, "F32")
    if name != "llama2":
        save_tensors(folder / "model.safetensors", tensors, dtype)
        return
    places = {n: f"model-0000{1 + (i >= 9)}-of-00002.safetensors" for i, n in enumerate(tensors)}
    for file in sorted(set(places.values())):
        save_tensors(folder / file, {n: tensors[n] for n in tensors if places[n] == file}, dtype)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    _save(folder / "model.safetensors.index.json", index)


def settings(name: str) -> dict[str, Any]:
    """tokenizer_config.json."""
    if name.startswith("bert"):
        special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
        special |= {"unk_token": "[UNK]", "mask_token": "[MASK]"}
        return special | {"tokenizer_class": "BertTokenizer"}
    found: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    found |= {"bos_token": "<s>", "eos_token": "</s>"}
    if name == "llama3":
        found |= {"chat_template": TEMPLATE, "bos_token": {"content": "<s>", "lstrip": False}}
    if name == "qwen2":
        named = {"default": TEMPLATE, "tool use": TOOL_TEMPLATE}
        found["chat_template"] = [{"name": n, "template": t} for n, t in named.items()]
        found |= {"bos_token": None, "add_bos_token": True}
    if name == "llama2":
        added = {"297": {"content": "<|user|>", "special": False}, "0": {"content": "<unk>"}}
        added |= {"298": {"content": "\u2581<tool>", "special": False}}
        found |= {"add_bos_token": True, "add_eos_token": False, "add_prefix_space": True}
        found |= {"added_tokens_decoder": {id_: {"special": True} | e for id_, e in added.items()}}
    if name.startswith("gemma"):
        plain = ["<mask>", "<unused0>", "\u2581\u2581"]
        added = {str(i + 4): {"content": t, "special": False} for i, t in enumerate(plain)}
        found |= {"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": True}
        found |= {"added_tokens_decoder": added}
    return found


def _others(name: str) -> Iterable[tuple[str, Any]]:
    """Files that one checkpoint has and others have not."""
    pooling = {"bert": "mean_tokens", "qwen3": "lasttoken"}.get(name)
    if pooling:
        yield (
            "1_Pooling/config.json",
            {"word_embedding_dimension": DIM, f"pooling_mode_{pooling}": True},
        )
        module = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
        yield "modules.json", [module]
    if name == "llama2":
        yield "added_tokens.json", {"<extra>": 296, "<far>": 4000}
    if name == "llama3":
        sampling = {"temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.05}
        yield "generation_config.json", sampling | {"do_sample": True}
    if name == "qwen3":
        yield "chat_template.jinja", TEMPLATE
        yield "additional_chat_templates/tool-use.jinja", TOOL_TEMPLATE
    if name == "gemma2":
        yield "chat_template.json", {"chat_template": TEMPLATE}
