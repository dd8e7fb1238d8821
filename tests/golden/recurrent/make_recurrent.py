"""Remake the goldens beside this file: fixtures of ../archs, changed or longer, by llama.cpp.

    pip install llama-cpp-python==0.3.36 gguf numpy;  python make_recurrent.py

Each .npz holds `tokens`, `rows` and float32 `logits` of these rows: all tokens decoded as one batch
with float32 weights and cache, without flash attention.
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import llama_cpp as L
import numpy as np

HERE = Path(__file__).parent
ARCHS = HERE.parent / "archs"
CASES = json.loads((HERE / "cases.json").read_text())
CONTEXT = 256


def logits(path: str, tokens: list[int]) -> np.ndarray:
    """float32 [tokens, vocabulary] of one batch."""
    L.llama_backend_init()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = CONTEXT
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = params.flash_attn_type = 0
    context = L.llama_init_from_model(model, params)
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    batch = L.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    if L.llama_decode(context, batch):
        raise SystemExit(f"{path}: llama_decode failed")
    rows = [L.llama_get_logits_ith(context, i) for i in range(len(tokens))]
    return np.stack([np.ctypeslib.as_array(row, (vocabulary,)).copy() for row in rows])


def main() -> None:
    """Write every case."""
    where = importlib.util.spec_from_file_location("fixture", ARCHS / "fixture.py")
    fixture = importlib.util.module_from_spec(where)
    where.loader.exec_module(fixture)
    for name, case in CASES.items():
        spec = json.loads((ARCHS / f"{case['fixture']}.json").read_text())
        spec["kv"] |= case["kv"]
        draws = np.random.Generator(np.random.PCG64(7))
        tokens = draws.integers(0, 128, case["length"]).astype(np.int32)
        rows = np.array(case["rows"], np.int32)
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            fixture.write(spec, file.name)
            found = logits(file.name, tokens.tolist())[rows]
        np.savez_compressed(HERE / f"{name}.npz", tokens=tokens, rows=rows, logits=found)


if __name__ == "__main__":
    main()
