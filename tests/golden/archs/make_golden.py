"""Remake a fixture's golden: its model through llama.cpp, float32 throughout.

    pip install llama-cpp-python==0.3.36 gguf numpy
    python make_golden.py llama-dense.json llama-dense.npz

The goldens here were made with the same library built without GGML_GELU_FP16 (LLAMA_CPP_LIB_PATH
points to it); a plain build differs by up to 7e-8 NMSE on the 15 architectures that use GELU, by
nothing on the others.
"""

import json
import sys
import tempfile

import llama_cpp as L
import numpy as np
from fixture import SEED, write

LENGTH, ROWS = 48, [0, 1, 2, 3, 15, 16, 31, 32, 33, 46, 47]


def logits(path: str, tokens: list[int]) -> np.ndarray:
    """float32 [tokens, vocab] of one batch."""
    L.llama_backend_init()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # F32
    params.flash_attn_type = 0
    context = L.llama_init_from_model(model, params)
    vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    batch = L.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    if L.llama_decode(context, batch):
        raise SystemExit(f"{path}: llama_decode failed")
    return np.stack(
        [
            np.ctypeslib.as_array(L.llama_get_logits_ith(context, i), (vocab,)).copy()
            for i in range(len(tokens))
        ]
    )


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    vocab = next(shape[1] for name, shape, _ in spec["tensors"] if name == "token_embd.weight")
    tokens = np.random.Generator(np.random.PCG64(SEED)).integers(0, min(vocab, 128), LENGTH)
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        write(spec, file.name)
        rows = logits(file.name, tokens.tolist())[ROWS]
    np.savez_compressed(
        sys.argv[2], tokens=tokens.astype(np.int32), rows=np.array(ROWS, np.int32), logits=rows
    )
