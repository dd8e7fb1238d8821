"""Goldens of encoder-decoders: tiny models, and their logits by a plain float64 forward pass.

    python make_encoder_decoders.py PYTHON            (needs gguf here, llama_cpp in PYTHON)

Writes a spec <name>.json (as ../archs has them) and <name>.npz: `source` (20 ids), `tokens` (24 ids
of an answer), `logits` [24, vocabulary] by the forward pass, float64, and `llama_cpp`, the same by
llama.cpp in float32 (cache in float32, no flash attention). The pass follows T5 (Raffel et al.,
2019). llama.cpp takes GELU from a float16 table, so the two must agree up to that: NMSE 1e-9, and
1e-11 for the model without GELU. llama.cpp (in llama-cpp-python 0.3.36) cannot load more layers
that answer than layers that read, and rounds activations where weights are quantised: "t5-deep"
and "t5-q8" have the pass alone.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as QUANTS
from gguf.quants import dequantize, quantize

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "archs"))
from fixture import digest, weights, write  # noqa: E402

DIM, FF, HEADS, HEAD, VOCABULARY = 64, 96, 4, 24, 128
DRAW = np.random.default_rng(17)
SOURCE = np.append(DRAW.integers(3, VOCABULARY, 19), 1)
TOKENS = np.append(0, DRAW.integers(3, VOCABULARY, 23))
# Layers that read and that answer, buckets of distance, whether there is a gate (and GELU), the
# matrices' type.
MODELS: dict[str, dict[str, Any]] = {
    "t5": {"reads": 3, "answers": 2, "buckets": 32, "gated": True},
    "t5-relu": {"reads": 2, "answers": 2, "buckets": 16, "gated": False},
    "t5-deep": {"reads": 1, "answers": 3, "buckets": 32, "gated": True},
    "t5-q8": {"reads": 2, "answers": 2, "buckets": 32, "gated": True, "type": "Q8_0"},
}
LLAMA_CPP = """
import sys, numpy as np, llama_cpp as L
path, given = sys.argv[1], np.load(sys.argv[2])
L.llama_backend_init()
model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
p = L.llama_context_default_params()
p.n_ctx = p.n_batch = p.n_ubatch = 64
p.n_threads = p.n_threads_batch = 1
p.type_k = p.type_v = p.flash_attn_type = 0
context = L.llama_init_from_model(model, p)
for ids, run in ((given["source"], L.llama_encode), (given["tokens"], L.llama_decode)):
    batch = L.llama_batch_init(64, 0, 1)
    batch.n_tokens = len(ids)
    for i, t in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(t), i, 1
        batch.seq_id[i][0], batch.logits[i] = 0, 1
    assert run(context, batch) == 0
n = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
rows = [L.llama_get_logits_ith(context, i) for i in range(len(ids))]
np.save(sys.argv[3], np.stack([np.ctypeslib.as_array(row, (n,)) for row in rows]))
"""


def make_spec(name: str, made: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 512, "embedding_length": DIM,
        "block_count": made["reads"], "decoder_block_count": made["answers"],
        "feed_forward_length": FF, "attention.head_count": HEADS, "attention.key_length": HEAD,
        "attention.value_length": HEAD, "attention.relative_buckets_count": made["buckets"],
        "decoder_start_token_id": 0,
    }  # fmt: skip
    kv: dict[str, Any] = {"general.architecture": ["STRING", "t5"]}
    kv |= {f"t5.{key}": ["UINT32", value] for key, value in numbers.items()}
    if made["answers"] == made["reads"]:
        del kv["t5.decoder_block_count"]  # as many as read, if nothing is said
    kv["t5.attention.layer_norm_rms_epsilon"] = ["FLOAT32", 1e-6]
    shapes = [[tensor, shape, made.get("type", "F32")] for tensor, shape in tensors(made)]
    shapes = [[n, s, "F32" if len(s) == 1 or "rel_b" in n else kind] for n, s, kind in shapes]
    return {"name": name, "kv": kv | tokenizer(), "tensors": shapes}


def tokenizer() -> dict[str, Any]:
    """Letters, letters behind a space, and pairs, as unigrams."""
    letters = list(ascii_lowercase)
    texts = ["<pad>", "</s>", "<unk>", "\u2581", *letters, *["\u2581" + x for x in letters]]
    texts += [a + b for a, b in product(letters, repeat=2)][: VOCABULARY - len(texts)]
    kinds = [3, 3, 2] + [1] * (VOCABULARY - 3)  # control, unknown, normal
    scores = [0.0] * 3 + [-2.0 - 0.01 * i for i in range(VOCABULARY - 3)]
    return {
        "tokenizer.ggml.model": ["STRING", "t5"],
        "tokenizer.ggml.pre": ["STRING", "default"],
        "tokenizer.ggml.tokens": ["arr", "STRING", texts],
        "tokenizer.ggml.scores": ["arr", "FLOAT32", scores],
        "tokenizer.ggml.token_type": ["arr", "INT32", kinds],
        "tokenizer.ggml.add_space_prefix": ["BOOL", True],
        "tokenizer.ggml.remove_extra_whitespaces": ["BOOL", True],
        "tokenizer.ggml.eos_token_id": ["UINT32", 1],
        "tokenizer.ggml.unknown_token_id": ["UINT32", 2],
        "tokenizer.ggml.padding_token_id": ["UINT32", 0],
    }


def tensors(made: dict[str, Any]) -> Any:
    """(name, shape fastest first) of each tensor."""
    yield "token_embd.weight", [DIM, VOCABULARY]
    if not made["gated"]:
        yield "output.weight", [DIM, VOCABULARY]
    for stack, count in (("enc", made["reads"]), ("dec", made["answers"])):
        yield f"{stack}.output_norm.weight", [DIM]
        for i in range(count):
            b = f"{stack}.blk.{i}"
            if i == 0:
                yield f"{b}.attn_rel_b.weight", [HEADS, made["buckets"]]
            for kind in ("attn", "cross_attn") if stack == "dec" else ("attn",):
                yield f"{b}.{kind}_norm.weight", [DIM]
                for part in "qkv":
                    yield f"{b}.{kind}_{part}.weight", [DIM, HEADS * HEAD]
                yield f"{b}.{kind}_o.weight", [HEADS * HEAD, DIM]
            yield f"{b}.ffn_norm.weight", [DIM]
            if made["gated"]:
                yield f"{b}.ffn_gate.weight", [DIM, FF]
            yield f"{b}.ffn_up.weight", [DIM, FF]
            yield f"{b}.ffn_down.weight", [FF, DIM]


def bucket(distance: int, count: int, both: bool) -> int:
    """T5's bucket of key position - row position, on both sides or behind only."""
    count = count // 2 if both else count
    exact, size = count // 2, abs(distance)
    if size >= exact:
        size = exact + int(math.log(size / exact) / math.log(128 / exact) * (count - exact))
    return count * (distance > 0) + min(size, count - 1)


def as_stored(values: Any, kind: str) -> Any:
    """Weights as the file has them."""
    if kind != "F32":
        values = dequantize(quantize(values, QUANTS[kind]), QUANTS[kind])
    return values.astype(np.float64)


class Reference:
    """The plain forward pass, float64."""

    def __init__(self, spec: dict[str, Any], made: dict[str, Any]) -> None:
        self.made = made
        self.w = {n: as_stored(weights(n, s), kind) for n, s, kind in spec["tensors"]}

    def norm(self, name: str, x: Any) -> Any:
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + np.float64(np.float32(1e-6)))
        return x / scale * self.w[f"{name}.weight"]

    def linear(self, name: str, x: Any) -> Any:
        return x @ self.w[f"{name}.weight"].T

    def bias(self, stack: str, n: int) -> Any:
        """A number per head, row and key, the same in all layers; an answer sees what is behind."""
        table, out = self.w[f"{stack}.blk.0.attn_rel_b.weight"], np.empty((HEADS, n, n))
        for row, key in np.ndindex(n, n):
            out[:, row, key] = -np.inf
            if stack == "enc" or key <= row:
                out[:, row, key] = table[bucket(key - row, self.made["buckets"], stack == "enc")]
        return out

    def attention(self, name: str, x: Any, seen: Any, bias: Any) -> Any:
        given = {"q": x, "k": seen, "v": seen}
        parts = (self.linear(f"{name}_{p}", y) for p, y in given.items())
        q, k, v = (y.reshape(len(y), HEADS, HEAD) for y in parts)
        scores = np.einsum("qhd,khd->hqk", q, k) + bias
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return self.linear(f"{name}_o", np.einsum("hqk,khd->qhd", p, v).reshape(len(x), -1))

    def feed(self, b: str, x: Any) -> Any:
        up = self.linear(f"{b}.ffn_up", x)
        if not self.made["gated"]:
            return self.linear(f"{b}.ffn_down", np.maximum(up, 0))
        g = self.linear(f"{b}.ffn_gate", x)
        g = 0.5 * g * (1 + np.tanh(math.sqrt(2 / math.pi) * (g + 0.044715 * g**3)))
        return self.linear(f"{b}.ffn_down", g * up)

    def stack(self, name: str, layers: int, ids: Any, source: Any = None) -> Any:
        x, bias = self.w["token_embd.weight"][ids], self.bias(name, len(ids))
        for i in range(layers):
            b = f"{name}.blk.{i}"
            h = self.norm(f"{b}.attn_norm", x)
            x = x + self.attention(f"{b}.attn", h, h, bias)
            if source is not None:
                h = self.norm(f"{b}.cross_attn_norm", x)
                x = x + self.attention(f"{b}.cross_attn", h, source, 0.0)
            x = x + self.feed(b, self.norm(f"{b}.ffn_norm", x))
        return self.norm(f"{name}.output_norm", x)

    def logits(self) -> Any:
        rows = self.stack("enc", self.made["reads"], SOURCE)
        rows = self.stack("dec", self.made["answers"], TOKENS, rows)
        return self.linear("token_embd" if self.made["gated"] else "output", rows)


def by_llama_cpp(python: str, spec: dict[str, Any]) -> Any:
    """The logits of the same file by llama.cpp."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}" for name in ("m.gguf", "ids.npz", "rows.npy")]
        write(spec, paths[0])
        np.savez(paths[1], source=SOURCE, tokens=TOKENS)
        done = subprocess.run([python, "-c", LLAMA_CPP, *paths], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{spec['name']}: {done.stderr[-2000:]}")
        return np.load(paths[2])


def main() -> None:
    for name, made in MODELS.items():
        spec = make_spec(name, made)
        spec["weights_sha256"] = digest(spec)
        logits = Reference(spec, made).logits()
        given = {"source": SOURCE, "tokens": TOKENS, "logits": logits}
        if made["answers"] <= made["reads"] and "type" not in made:
            peer = given["llama_cpp"] = by_llama_cpp(sys.argv[1], spec)
            nmse = np.sum((peer - logits) ** 2) / np.sum(logits**2)
            print(f"{name:10} llama.cpp {nmse:.1e}")
            if nmse > (1e-9 if made["gated"] else 1e-11):
                raise SystemExit(f"{name}: the forward pass and llama.cpp differ")
        (HERE / f"{name}.json").write_text(json.dumps(spec) + "\n")
        np.savez(HERE / f"{name}.npz", **given)


if __name__ == "__main__":
    main()
