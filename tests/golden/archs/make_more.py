"""Fixtures of RWKV, BitNet, Apertus, PLM and Step 3.5: specs, and logits by llama.cpp.

python make_more.py PYTHON            (needs gguf here, llama_cpp in PYTHON)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fixture import digest, write

HERE = Path(__file__).parent
DIM, HEAD, FF, VOCABULARY, LAYERS = 128, 64, 96, 128, 3  # llama.cpp takes 64 numbers at a time
TOKENS = np.random.default_rng(12).integers(0, VOCABULARY, 48)
LLAMA_CPP = """
import sys, ctypes, numpy as np, llama_cpp as L
path, tokens = sys.argv[1], np.load(sys.argv[2])
L.llama_backend_init()
model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
p = L.llama_context_default_params()
p.n_ctx = p.n_batch = p.n_ubatch = 64
p.n_threads = p.n_threads_batch = 1
p.type_k = p.type_v = 0
p.flash_attn_type = 0
context = L.llama_init_from_model(model, p)
batch = L.llama_batch_init(64, 0, 1)
batch.n_tokens = len(tokens)
for i, t in enumerate(tokens):
    batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(t), i, 1
    batch.seq_id[i][0], batch.logits[i] = 0, 1
assert L.llama_decode(context, batch) == 0
n = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
rows = [L.llama_get_logits_ith(context, i) for i in range(len(tokens))]
np.save(sys.argv[3], np.stack([np.ctypeslib.as_array(row, (n,)) for row in rows]))
"""


def metadata(arch: str, more: dict[str, int], rms: bool) -> dict[str, Any]:
    """Keys of a file; heads count for Qwen's kin alone."""
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 256, "embedding_length": DIM,
        "block_count": LAYERS, "feed_forward_length": FF, "attention.head_count": 0,
        "wkv.head_size": HEAD, "token_shift_count": 1 if rms else 2,
    }  # fmt: skip
    kv: dict[str, Any] = {"general.architecture": ["STRING", arch]}
    kv |= {f"{arch}.{key}": ["UINT32", value] for key, value in (numbers | more).items()}
    epsilon = "layer_norm_rms_epsilon" if rms else "layer_norm_epsilon"
    return kv | {
        f"{arch}.attention.{epsilon}": ["FLOAT32", 1e-5],
        "tokenizer.ggml.model": ["STRING", "no_vocab"],
    }


def common(rms: bool) -> list[Any]:
    """Tensors that belong to no layer, and each layer's norms and projections."""
    table = [("token_embd.weight", [DIM, VOCABULARY]), ("output.weight", [DIM, VOCABULARY])]
    norms = ["output_norm"] + ["token_embd_norm"] * (not rms)
    for i in range(LAYERS):
        norms += [f"blk.{i}.attn_norm", f"blk.{i}.{'ffn_norm' if rms else 'attn_norm_2'}"]
        if rms:
            table += [(f"blk.{i}.ffn_{x}.weight", [DIM, FF]) for x in ("gate", "up")]
            table += [(f"blk.{i}.ffn_down.weight", [FF, DIM])]
        else:
            table += [(f"blk.{i}.channel_mix_lerp_k.weight", [DIM, 1, 1])]
            table += [(f"blk.{i}.channel_mix_key.weight", [DIM, FF])]
            table += [(f"blk.{i}.channel_mix_value.weight", [FF, DIM])]
        for x in ("receptance", "output"):
            table += [(f"blk.{i}.time_mix_{x}.weight", [DIM, DIM])]
    for norm in norms:
        table += [(f"{norm}.weight", [DIM])] + [(f"{norm}.bias", [DIM])] * (not rms)
    return table


def rwkv7(arch: str, rms: bool, gate: int) -> dict[str, Any]:
    ranks = {"decay": 8, "iclr": 12, "value_residual_mix": 6} | ({"gate": gate} if gate else {})
    more = {f"attention.{name}_lora_rank": rank for name, rank in ranks.items()}
    table = common(rms)
    for i in range(LAYERS):
        b = f"blk.{i}.time_mix"
        low = {"w": 8, "a": 12, "v": 6 if i else 12} | ({"g": gate} if gate else {})
        for x, rank in low.items():
            table += [(f"{b}_{x}1.weight", [DIM, rank]), (f"{b}_{x}2.weight", [rank, DIM])]
        table += [(f"{b}_{x}.weight", [DIM]) for x in ("w0", "a0", "v0", "k_k", "k_a", "r_k")]
        table += [(f"{b}_lerp_fused.weight", [DIM, 1, 1, 6 if gate else 5])]
        table += [(f"{b}_{x}.weight", [DIM, DIM]) for x in ("key", "value")]
        if not rms:
            table += [(f"{b}_ln.weight", [DIM]), (f"{b}_ln.bias", [DIM])]
    return {"kv": metadata(arch, more, rms), "tensors": table}


def rwkv6(arch: str, rms: bool, kv_heads: int) -> dict[str, Any]:
    more = {"time_mix_extra_dim": 8, "time_decay_extra_dim": 12}
    more |= {"rescale_every_n_layers": 0 if rms else 2}
    if rms:
        more |= {"attention.head_count": DIM // HEAD, "attention.head_count_kv": kv_heads}
    table, keys = common(rms), kv_heads * HEAD
    for i in range(LAYERS):
        b = f"blk.{i}.time_mix"
        table += [(f"{b}_w1.weight", [DIM, 40]), (f"{b}_w2.weight", [8, DIM, 5])]
        table += [(f"{b}_lerp_x.weight", [DIM, 1, 1]), (f"{b}_decay.weight", [DIM])]
        table += [(f"{b}_decay_w1.weight", [DIM, 12]), (f"{b}_decay_w2.weight", [12, DIM])]
        table += [(f"{b}_key.weight", [DIM, keys]), (f"{b}_value.weight", [DIM, keys])]
        table += [(f"{b}_gate.weight", [DIM, DIM])]
        if rms:
            table += [(f"{b}_lerp_fused.weight", [DIM, 1, 1, 5])]
            table += [(f"{b}_{x}.bias", [keys]) for x in ("key", "value")]
            table += [(f"{b}_receptance.bias", [DIM])]
            continue
        table += [(f"{b}_lerp_{x}.weight", [DIM, 1, 1]) for x in "wkvrg"]
        table += [(f"{b}_first.weight", [HEAD, DIM // HEAD])]
        table += [(f"{b}_ln.weight", [DIM]), (f"{b}_ln.bias", [DIM])]
        table += [(f"blk.{i}.channel_mix_lerp_r.weight", [DIM, 1, 1])]
        table += [(f"blk.{i}.channel_mix_receptance.weight", [DIM, DIM])]
    return {"kv": metadata(arch, more, rms), "tensors": table}


def bitnet() -> dict[str, Any]:
    kv: dict[str, Any] = {"general.architecture": ["STRING", "bitnet"]}
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 256, "embedding_length": DIM,
        "block_count": LAYERS, "feed_forward_length": FF, "attention.head_count": 4,
        "attention.head_count_kv": 2, "rope.dimension_count": 32,
    }  # fmt: skip
    kv |= {f"bitnet.{key}": ["UINT32", value] for key, value in numbers.items()}
    kv["bitnet.attention.layer_norm_rms_epsilon"] = ["FLOAT32", 1e-5]
    kv["tokenizer.ggml.model"] = ["STRING", "no_vocab"]
    table = [("token_embd.weight", [DIM, VOCABULARY]), ("output_norm.weight", [DIM])]
    for i in range(LAYERS):
        b = f"blk.{i}"
        table += [(f"{b}.{x}_norm.weight", [DIM]) for x in ("attn", "attn_sub", "ffn")]
        table += [(f"{b}.ffn_sub_norm.weight", [FF])]
        matrices = {"attn_q": (DIM, DIM), "attn_k": (DIM, 64), "attn_v": (DIM, 64)}
        matrices |= {"attn_output": (DIM, DIM), "ffn_gate": (DIM, FF), "ffn_up": (DIM, FF)}
        for x, shape in (matrices | {"ffn_down": (FF, DIM)}).items():
            table += [(f"{b}.{x}.weight", list(shape)), (f"{b}.{x}.scale", [1])]
    return {"kv": kv, "tensors": table}


def attending(arch: str, more: dict[str, int]) -> dict[str, Any]:
    """Metadata of a decoder with attention, and its tensors of no layer and norms."""
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 256, "embedding_length": DIM,
        "block_count": LAYERS, "feed_forward_length": FF, "attention.head_count": 4,
    }  # fmt: skip
    kv: dict[str, Any] = {"general.architecture": ["STRING", arch]}
    kv |= {f"{arch}.{key}": ["UINT32", value] for key, value in (numbers | more).items()}
    kv[f"{arch}.attention.layer_norm_rms_epsilon"] = ["FLOAT32", 1e-5]
    kv["tokenizer.ggml.model"] = ["STRING", "no_vocab"]
    table: list[Any] = [("token_embd.weight", [DIM, VOCABULARY]), ("output_norm.weight", [DIM])]
    for i in range(LAYERS):
        table += [(f"blk.{i}.{x}_norm.weight", [DIM]) for x in ("attn", "ffn")]
        table += [(f"blk.{i}.ffn_up.weight", [DIM, FF]), (f"blk.{i}.ffn_down.weight", [FF, DIM])]
    return {"kv": kv, "tensors": table}


def apertus() -> dict[str, Any]:
    made = attending("apertus", {"attention.head_count_kv": 2, "rope.dimension_count": 32})
    values = {"alpha_n": [0.8, 0.3, -0.5], "alpha_p": [0.4, 1.2, 0.1], "beta": [0.5] * LAYERS}
    for name, numbers in (values | {"eps": [-1e-6] * LAYERS}).items():
        made["kv"][f"xielu.{name}"] = ["arr", "FLOAT32", numbers]
    made["tensors"] += [("output.weight", [DIM, VOCABULARY])]
    for i in range(LAYERS):
        b = f"blk.{i}"
        for x, rows in (("q", DIM), ("k", 64), ("v", 64), ("output", DIM)):
            made["tensors"] += [(f"{b}.attn_{x}.weight", [DIM, rows])]
        made["tensors"] += [(f"{b}.attn_{x}_norm.weight", [32]) for x in "qk"]
    return made


def plm() -> dict[str, Any]:
    more = {"attention.key_length": 48, "attention.value_length": 32, "attention.kv_lora_rank": 40}
    made = attending("plm", more | {"rope.dimension_count": 16, "attention.head_count_kv": 4})
    for i in range(LAYERS):
        b = f"blk.{i}"
        shapes = {"attn_q": [DIM, 192], "attn_kv_a_mqa": [DIM, 56], "attn_kv_a_norm": [40]}
        shapes |= {"attn_kv_b": [40, 256], "attn_output": [128, DIM]}
        made["tensors"] += [(f"{b}.{x}.weight", shape) for x, shape in shapes.items()]
    return made


def step35() -> dict[str, Any]:
    more = {"rope.dimension_count": 32, "attention.key_length": 32, "attention.value_length": 32}
    more |= {"attention.sliding_window": 8, "expert_count": 6, "expert_used_count": 2}
    more |= {"expert_feed_forward_length": 32, "expert_shared_feed_forward_length": 64}
    made = attending("step35", more)
    kv, table = made["kv"], made["tensors"]
    kv["step35.attention.head_count"] = ["arr", "UINT32", [4, 6, 4]]
    kv["step35.attention.head_count_kv"] = ["arr", "UINT32", [2, 2, 1]]
    kv["step35.attention.sliding_window_pattern"] = ["arr", "BOOL", [False, True, False]]
    kv["step35.rope.freq_base_swa"] = ["FLOAT32", 500.0]
    kv["step35.expert_weights_norm"] = ["BOOL", True]
    kv["step35.expert_weights_scale"] = ["FLOAT32", 1.5]
    for part in ("exp", "shexp"):
        kv[f"step35.swiglu_clamp_{part}"] = ["arr", "FLOAT32", [0.0, 0.02, 0.01]]
    table += [("output.weight", [DIM, VOCABULARY]), ("rope_freqs.weight", [16])]
    for i, (heads, kv_heads) in enumerate(((4, 2), (6, 2), (4, 1))):
        b = f"blk.{i}"
        sizes = {"q": [DIM, 32 * heads], "k": [DIM, 32 * kv_heads], "v": [DIM, 32 * kv_heads]}
        sizes |= {"output": [32 * heads, DIM], "gate": [DIM, heads]}
        sizes |= {"q_norm": [32], "k_norm": [32]}
        table += [(f"{b}.attn_{x}.weight", shape) for x, shape in sizes.items()]
        if i == 0:
            table += [(f"{b}.ffn_gate.weight", [DIM, FF])]
            continue
        for x in ("ffn_up", "ffn_down"):
            table[:] = [row for row in table if row[0] != f"{b}.{x}.weight"]
        table += [(f"{b}.ffn_gate_inp.weight", [DIM, 6]), (f"{b}.exp_probs_b.bias", [6])]
        for x, rows in (("exps", 32), ("shexp", 64)):
            last = [6] if x == "exps" else []
            table += [(f"{b}.ffn_{y}_{x}.weight", [DIM, rows, *last]) for y in ("gate", "up")]
            table += [(f"{b}.ffn_down_{x}.weight", [rows, DIM, *last])]
    return made


def remake(made: dict[str, dict[str, Any]], python: str) -> None:
    """Write each fixture's spec, and the logits that llama_cpp in `python` finds."""
    for name, parts in made.items():
        tensors = [[tensor, shape, "F32"] for tensor, shape in parts["tensors"]]
        spec = {"name": name, "weights_sha256": "", "kv": parts["kv"], "tensors": tensors}
        spec["weights_sha256"] = digest(spec)
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{folder}/{file}" for file in ("m.gguf", "tokens.npy", "rows.npy")]
            write(spec, paths[0])
            np.save(paths[1], TOKENS)
            done = subprocess.run([python, "-c", LLAMA_CPP, *paths], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr[-1500:]}")
            logits = np.load(paths[2])
        (HERE / f"{name}.json").write_text(json.dumps(spec) + "\n")
        np.savez(HERE / f"{name}.npz", tokens=TOKENS, rows=np.arange(48), logits=logits)


def main() -> None:
    made = {
        "rwkv7-dense": rwkv7("rwkv7", False, 10),
        "arwkv7-dense": rwkv7("arwkv7", True, 0),
        "rwkv6-dense": rwkv6("rwkv6", False, DIM // HEAD),
        "apertus-dense": apertus(),
        "plm-dense": plm(),
        "step35-moe": step35(),
        "bitnet-dense": bitnet(),
        "rwkv6qwen2-dense": rwkv6("rwkv6qwen2", True, 1),
    }
    remake(made, sys.argv[1])


if __name__ == "__main__":
    main()
