"""Goldens of encoders: a tiny model of each, and its rows by a plain float64 forward pass.

    python make_encoders.py PYTHON            (needs gguf here, llama_cpp in PYTHON)

Writes a spec <name>.json (as ../archs has them) and <name>.npz: `tokens` (48 ids) and `rows` [48,
dim]. The forward pass below follows the models' publications, GELU by erf. llama.cpp computes GELU
by tanh, from a float16 table: with tanh in erf's place the pass must agree with it, up to that
table (NMSE 1e-6; 1e-10 without GELU).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "archs"))
from fixture import digest, weights, write  # noqa: E402

DIM, FF, LAYERS, HEADS, HEAD, VOCABULARY = 64, 96, 3, 4, 16, 128
TOKENS = np.random.default_rng(11).integers(0, VOCABULARY, 48)
LLAMA_CPP = """
import sys, ctypes, numpy as np, llama_cpp as L
path, tokens = sys.argv[1], np.load(sys.argv[2])
L.llama_backend_init()
model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
p = L.llama_context_default_params()
p.n_ctx = p.n_batch = p.n_ubatch = 64
p.embeddings, p.pooling_type, p.n_threads, p.n_threads_batch = True, 0, 1, 1
p.flash_attn_type, p.attention_type = 0, 1
context = L.llama_init_from_model(model, p)
batch = L.llama_batch_init(64, 0, 1)
batch.n_tokens = len(tokens)
for i, t in enumerate(tokens):
    batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(t), i, 1
    batch.seq_id[i][0], batch.logits[i] = 0, 1
assert L.llama_encode(context, batch) == 0
n = L.llama_model_n_embd(model)
rows = [L.llama_get_embeddings_ith(context, i) for i in range(len(tokens))]
np.save(sys.argv[3], np.stack([np.ctypeslib.as_array(row, (n,)) for row in rows]))
"""
# What each model is made of, as the forward pass below reads it.
MODELS: dict[str, dict[str, Any]] = {
    "bert": {"types": 2, "positions": True, "act": "gelu", "bias": True},
    "nomic-bert": {"types": 2, "rope": "halves", "act": "silu", "gated": True},
    "nomic-bert-moe": {"types": 1, "rope": "halves", "act": "gelu", "bias": True, "experts": 4},
    "jina-bert-v2": {"types": 2, "alibi": 8.0, "act": "gelu", "fused": True, "bias": True},
    "jina-bert-v2-code": {"types": 2, "alibi": 8.0, "act": "gelu", "gated": True, "bias": True}
    | {"qk_norm": "across", "second_norm": True},
    "jina-bert-v3": {"types": 1, "rope": "halves", "act": "gelu", "bias": True},
    "neo-bert": {"rope": "pairs", "act": "silu", "fused": True, "qkv": True, "rms": True},
    "eurobert": {"rope": "halves", "act": "silu", "gated": True, "rms": True, "kv_heads": 2},
    "modern-bert": {"rope": "halves", "act": "gelu", "fused": True, "qkv": True, "window": 12}
    | {"embedding_norm": True, "local_base": 1000.0, "whole_first": True, "period": 3},
    "gemma-embedding": {"rope": "halves", "act": "tanh", "gated": True, "rms": True}
    | {"window": 12, "local_base": 1000.0, "period": 6, "sandwich": True, "qk_norm": "heads"}
    | {"kv_heads": 2},
    "llama-embed": {"rope": "pairs", "act": "silu", "gated": True, "rms": True, "kv_heads": 2},
    "t5encoder": {"rel": 32, "act": "tanh", "gated": True, "rms": True, "enc": True},
    "t5encoder-relu": {"rel": 16, "act": "relu", "rms": True, "enc": True},
}


def make_spec(name: str, made: dict[str, Any]) -> dict[str, Any]:
    """Metadata and tensors in the form of ../archs."""
    arch = name.removesuffix("-code").removesuffix("-relu")
    layers = 7 if made.get("period") == 6 else LAYERS
    kv_heads = made.get("kv_heads", HEADS)
    kv: dict[str, Any] = {
        "general.architecture": ["STRING", arch],
        f"{arch}.vocab_size": ["UINT32", VOCABULARY],
        f"{arch}.context_length": ["UINT32", 64],
        f"{arch}.embedding_length": ["UINT32", DIM],
        f"{arch}.block_count": ["UINT32", layers],
        f"{arch}.feed_forward_length": ["UINT32", FF],
        f"{arch}.attention.head_count": ["UINT32", HEADS],
        f"{arch}.attention.head_count_kv": ["UINT32", kv_heads],
        f"{arch}.attention.causal": ["BOOL", False],
        f"{arch}.pooling_type": ["UINT32", 1],
        "tokenizer.ggml.model": ["STRING", "none"],
    }
    norm = "layer_norm_rms_epsilon" if made.get("rms") else "layer_norm_epsilon"
    kv[f"{arch}.attention.{norm}"] = ["FLOAT32", 1e-5]
    if "types" in made:
        kv["tokenizer.ggml.token_type_count"] = ["UINT32", made["types"]]
    if "rel" in made:
        kv[f"{arch}.attention.relative_buckets_count"] = ["UINT32", made["rel"]]
        kv[f"{arch}.attention.key_length"] = ["UINT32", HEAD]
    if "window" in made:
        kv[f"{arch}.attention.sliding_window"] = ["UINT32", made["window"]]
        kv[f"{arch}.rope.freq_base_swa"] = ["FLOAT32", made["local_base"]]
    if "rope" in made:
        kv[f"{arch}.rope.freq_base"] = ["FLOAT32", 10000.0]
        kv[f"{arch}.rope.dimension_count"] = ["UINT32", HEAD]
    if "experts" in made:
        kv[f"{arch}.expert_count"] = ["UINT32", made["experts"]]
        kv[f"{arch}.expert_used_count"] = ["UINT32", 2]
        kv[f"{arch}.moe_every_n_layers"] = ["UINT32", 2]
    return {"name": name, "kv": kv, "tensors": list(tensors(made, layers, kv_heads))}


def tensors(made: dict[str, Any], layers: int, kv_heads: int) -> Any:
    """(name, shape fastest first, "F32") of each tensor."""
    bias = made.get("bias", False)
    summed = "types" in made

    def linear(name: str, rows: int, columns: int, biased: bool) -> Any:
        yield [f"{name}.weight", [columns, rows], "F32"]
        if biased:
            yield [f"{name}.bias", [rows], "F32"]

    def norm(name: str, size: int, biased: bool) -> Any:
        yield [f"{name}.weight", [size], "F32"]
        if biased:
            yield [f"{name}.bias", [size], "F32"]

    yield ["token_embd.weight", [DIM, VOCABULARY], "F32"]
    if made.get("positions"):
        yield ["position_embd.weight", [DIM, 64], "F32"]
    if summed:
        yield ["token_types.weight", [DIM, made["types"]], "F32"]
    if summed or made.get("embedding_norm"):
        yield from norm("token_embd_norm", DIM, summed)
    if not summed:
        neo = made.get("qkv", False) and made.get("rms", False)
        enc = "enc." * (neo or made.get("enc", False))
        yield from norm(f"{enc}output_norm", DIM, False)
    for i in range(layers):
        b = "enc." * made.get("enc", False) + f"blk.{i}"
        if made.get("rel") and i == 0:
            yield [f"{b}.attn_rel_b.weight", [HEADS, made["rel"]], "F32"]
        if not summed and not (made.get("embedding_norm") and i == 0):
            yield from norm(f"{b}.attn_norm", DIM, False)
        if made.get("qkv"):
            yield from linear(f"{b}.attn_qkv", 3 * DIM, DIM, False)
        else:
            for part, heads in (("q", HEADS), ("k", kv_heads), ("v", kv_heads)):
                yield from linear(f"{b}.attn_{part}", heads * HEAD, DIM, bias)
        if "qk_norm" in made:
            across = made["qk_norm"] == "across"
            for part in "qk":
                yield from norm(f"{b}.attn_{part}_norm", DIM if across else HEAD, across)
        yield from linear(f"{b}.attn_{'o' if made.get('enc') else 'output'}", DIM, DIM, bias)
        if summed:
            yield from norm(f"{b}.attn_output_norm", DIM, True)
            yield from norm(f"{b}.layer_output_norm", DIM, True)
            if made.get("second_norm"):
                yield from norm(f"{b}.attn_norm_2", DIM, True)
        else:
            yield from norm(f"{b}.ffn_norm", DIM, False)
        if made.get("sandwich"):
            yield from norm(f"{b}.post_attention_norm", DIM, False)
            yield from norm(f"{b}.post_ffw_norm", DIM, False)
        if "experts" in made and i % 2 == 1:
            n = made["experts"]
            yield [f"{b}.ffn_gate_inp.weight", [DIM, n], "F32"]
            yield [f"{b}.ffn_up_exps.weight", [DIM, FF, n], "F32"]
            yield [f"{b}.ffn_down_exps.weight", [FF, DIM, n], "F32"]
            continue
        if made.get("gated"):
            yield from linear(f"{b}.ffn_gate", FF, DIM, False)
        plain = not made.get("gated") and not made.get("fused")
        yield from linear(f"{b}.ffn_up", FF * (1 + made.get("fused", False)), DIM, bias and plain)
        yield from linear(f"{b}.ffn_down", DIM, FF, bias)


def bucket(distance: int, count: int) -> int:
    """T5's bucket of a distance, on both sides."""
    half = count // 2
    exact, size = half // 2, abs(distance)
    if size >= exact:
        size = exact + int(math.log(size / exact) / math.log(128 / exact) * (half - exact))
    return half * (distance > 0) + min(size, half - 1)


class Reference:
    """The plain forward pass, float64."""

    def __init__(self, spec: dict[str, Any], made: dict[str, Any], tanh: bool) -> None:
        self.made, self.tanh = made, tanh
        self.w = {n: weights(n, s).astype(np.float64) for n, s, _ in spec["tensors"]}
        self.layers = spec["kv"][f"{spec['kv']['general.architecture'][1]}.block_count"][1]
        self.kv_heads = made.get("kv_heads", HEADS)

    def act(self, x: Any) -> Any:
        if self.made["act"] == "relu":
            return np.maximum(x, 0)
        if self.made["act"] == "silu":
            return x / (1 + np.exp(-x))
        if self.tanh or self.made["act"] == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    def norm(self, name: str, x: Any) -> Any:
        if not self.made.get("rms"):
            x = x - x.mean(-1, keepdims=True)
        y = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float64(np.float32(1e-5)))
        return y * self.w[f"{name}.weight"] + self.w.get(f"{name}.bias", 0.0)

    def linear(self, name: str, x: Any) -> Any:
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0.0)

    def turn(self, x: Any, base: float) -> Any:
        n = np.arange(len(x))[:, None] * base ** (-np.arange(0, HEAD, 2) / HEAD)
        z = np.exp(1j * n)[:, None]
        if self.made["rope"] == "halves":
            both = (x[..., : HEAD // 2] + 1j * x[..., HEAD // 2 :]) * z
            return np.concatenate([both.real, both.imag], axis=-1)
        both = (x[..., ::2] + 1j * x[..., 1::2]) * z
        return np.stack([both.real, both.imag], axis=-1).reshape(x.shape)

    def attention(self, b: str, i: int, x: Any) -> Any:
        made, n = self.made, len(x)
        if made.get("qkv"):
            q, k, v = np.split(self.linear(f"{b}.attn_qkv", x), 3, axis=1)
        else:
            q, k, v = (self.linear(f"{b}.attn_{part}", x) for part in "qkv")
        if made.get("qk_norm") == "across":
            q, k = self.norm(f"{b}.attn_q_norm", q), self.norm(f"{b}.attn_k_norm", k)
        q, k, v = (y.reshape(n, -1, HEAD) for y in (q, k, v))
        if made.get("qk_norm") == "heads":
            q, k = self.norm(f"{b}.attn_q_norm", q), self.norm(f"{b}.attn_k_norm", k)
        period = made.get("period", 1)
        whole = i % period == (0 if made.get("whole_first") else period - 1)
        local = "window" in made and not whole
        if "rope" in made:
            base = made["local_base"] if local else 10000.0
            q, k = self.turn(q, base), self.turn(k, base)
        k, v = (np.repeat(y, HEADS // self.kv_heads, axis=1) for y in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / (1 if "rel" in made else math.sqrt(HEAD))
        if "rel" in made:
            table = self.w["enc.blk.0.attn_rel_b.weight"]
            for place, key in np.ndindex(n, n):
                scores[:, place, key] += table[bucket(key - place, made["rel"])]
        apart = np.abs(np.arange(n)[:, None] - np.arange(n))
        if "alibi" in made:
            slopes = 2.0 ** (-made["alibi"] / HEADS * np.arange(1, HEADS + 1))
            scores = scores - slopes[:, None, None] * apart
        if local:
            scores = np.where(apart <= made["window"] // 2, scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        out = f"{b}.attn_{'o' if made.get('enc') else 'output'}"
        return self.linear(out, np.einsum("hqk,khd->qhd", p, v).reshape(n, -1))

    def feed(self, b: str, x: Any) -> Any:
        if f"{b}.ffn_gate_inp.weight" in self.w:
            return self.experts(b, x)
        up = self.linear(f"{b}.ffn_up", x)
        if self.made.get("gated"):
            up = self.act(self.linear(f"{b}.ffn_gate", x)) * up
        elif self.made.get("fused"):
            up = self.act(up[:, :FF]) * up[:, FF:]
        else:
            up = self.act(up)
        return self.linear(f"{b}.ffn_down", up)

    def experts(self, b: str, x: Any) -> Any:
        logits = self.linear(f"{b}.ffn_gate_inp", x)
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        up, down = self.w[f"{b}.ffn_up_exps.weight"], self.w[f"{b}.ffn_down_exps.weight"]
        out = np.zeros_like(x)
        for row, h in enumerate(x):
            for e in np.argsort(-p[row])[:2]:
                out[row] += p[row, e] * (down[e] @ self.act(up[e] @ h))
        return out

    def rows(self, tokens: Any) -> Any:
        made, w = self.made, self.w
        x = w["token_embd.weight"][tokens]
        if made.get("sandwich"):
            x = x * math.sqrt(DIM)
        if "types" in made:
            x = x + w["token_types.weight"][0]
        if made.get("positions"):
            x = x + w["position_embd.weight"][: len(tokens)]
        if "token_embd_norm.weight" in w:
            x = self.norm("token_embd_norm", x)
        for i in range(self.layers):
            b = "enc." * made.get("enc", False) + f"blk.{i}"
            if "types" in made:
                h = self.norm(f"{b}.attn_output_norm", x + self.attention(b, i, x))
                if made.get("second_norm"):
                    h = self.norm(f"{b}.attn_norm_2", x + h)
                x = self.norm(f"{b}.layer_output_norm", h + self.feed(b, h))
                continue
            h = self.norm(f"{b}.attn_norm", x) if f"{b}.attn_norm.weight" in w else x
            h = self.attention(b, i, h)
            x = x + (self.norm(f"{b}.post_attention_norm", h) if made.get("sandwich") else h)
            h = self.feed(b, self.norm(f"{b}.ffn_norm", x))
            x = x + (self.norm(f"{b}.post_ffw_norm", h) if made.get("sandwich") else h)
        if "types" in made:
            return x
        return self.norm("enc.output_norm" if "enc.output_norm.weight" in w else "output_norm", x)


def by_llama_cpp(python: str, spec: dict[str, Any]) -> Any:
    """The rows of the same file by llama.cpp."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}" for name in ("m.gguf", "tokens.npy", "rows.npy")]
        write(spec, paths[0])
        np.save(paths[1], TOKENS)
        done = subprocess.run([python, "-c", LLAMA_CPP, *paths], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{spec['name']}: {done.stderr[-2000:]}")
        return np.load(paths[2])


def main() -> None:
    for name, made in MODELS.items():
        spec = make_spec(name, made)
        spec["weights_sha256"] = digest(spec)
        rows = Reference(spec, made, tanh=False).rows(TOKENS)
        peer = by_llama_cpp(sys.argv[1], spec)
        near = Reference(spec, made, tanh=True).rows(TOKENS)
        nmse = np.sum((peer - near) ** 2) / np.sum(near**2)
        gap = np.sum((rows - near) ** 2) / np.sum(near**2)
        print(f"{name:20} llama.cpp {nmse:.1e}; erf for tanh {gap:.1e}")
        if nmse > (1e-10 if made["act"] in ("silu", "relu") else 1e-6):
            raise SystemExit(f"{name}: the forward pass and llama.cpp differ")
        (HERE / f"{name}.json").write_text(json.dumps(spec) + "\n")
        np.savez(HERE / f"{name}.npz", tokens=TOKENS, rows=rows)


if __name__ == "__main__":
    main()
