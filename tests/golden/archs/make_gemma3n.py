"""Fixture of Gemma 3n: spec, and logits by llama.cpp, built without GGML_GELU_FP16.

    python make_gemma3n.py PYTHON            (needs gguf here, llama_cpp in PYTHON)

llama.cpp has four streams, ranks of 64, rows of 256 numbers, ten sparse layers and twenty with keys
of their own, whatever the file says; so there are 24 layers, and the file says the same. Layers 20
to 23 have key and value matrices that nobody reads.
"""

from __future__ import annotations

import sys
from typing import Any

from make_more import VOCABULARY, remake

DIM, FF, HEAD, HEADS, KEY_HEADS = 64, 96, 16, 4, 2
LAYERS, SPARSE, SHARING, STREAMS, RANK, ROW = 24, 10, 4, 4, 64, 256
GLOBAL = (4, 9, 14, 19, 21)
SCALE = 1.6448533535003662


def metadata() -> dict[str, Any]:
    """Keys as the converter writes them: no sparsity is a threshold of minus infinity."""
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 256, "embedding_length": DIM,
        "block_count": LAYERS, "attention.head_count": HEADS,
        "attention.head_count_kv": KEY_HEADS, "attention.key_length": HEAD,
        "attention.value_length": HEAD, "rope.dimension_count": HEAD,
        "attention.sliding_window": 12, "attention.shared_kv_layers": SHARING,
        "altup.num_inputs": STREAMS, "altup.active_idx": 0,
        "embedding_length_per_layer_input": ROW,
    }  # fmt: skip
    kv: dict[str, Any] = {"general.architecture": ["STRING", "gemma3n"]}
    kv |= {f"gemma3n.{key}": ["UINT32", value] for key, value in numbers.items()}
    kv["gemma3n.feed_forward_length"] = ["arr", "UINT32", [FF] * LAYERS]
    kv["gemma3n.attention.layer_norm_rms_epsilon"] = ["FLOAT32", 1e-6]
    kv["gemma3n.rope.freq_base"] = ["FLOAT32", 1000000.0]
    pattern = [layer not in GLOBAL for layer in range(LAYERS)]
    kv["gemma3n.attention.sliding_window_pattern"] = ["arr", "BOOL", pattern]
    scales = [SCALE] * SPARSE + [float("-inf")] * (LAYERS - SPARSE)
    kv["gemma3n.activation_sparsity_scale"] = ["arr", "FLOAT32", scales]
    return kv | {"tokenizer.ggml.model": ["STRING", "no_vocab"]}


def layer(b: str) -> dict[str, list[int]]:
    """One layer's tensors."""
    shapes = {f"{x}_norm": [DIM] for x in ("attn", "ffn", "post_attention", "post_ffw", "post")}
    shapes |= {"attn_q": [DIM, HEADS * HEAD], "attn_output": [HEADS * HEAD, DIM]}
    shapes |= {f"attn_{x}": [DIM, KEY_HEADS * HEAD] for x in "kv"}
    shapes |= {f"attn_{x}_norm": [HEAD] for x in "qk"}
    shapes |= {"ffn_gate": [DIM, FF], "ffn_up": [DIM, FF], "ffn_down": [FF, DIM]}
    shapes |= {"inp_gate": [DIM, ROW], "proj": [ROW, DIM]}
    shapes |= {"altup_correct_coef": [STREAMS, STREAMS], "altup_correct_scale": [DIM]}
    shapes |= {"altup_predict_coef": [STREAMS, STREAMS**2], "altup_router": [DIM, STREAMS]}
    shapes |= {"altup_router_norm": [DIM], "laurel_l": [DIM, RANK], "laurel_r": [RANK, DIM]}
    shapes |= {"laurel_post_norm": [DIM]}
    return {f"{b}.{name}.weight": shape for name, shape in shapes.items()}


def gemma3n() -> dict[str, Any]:
    """The whole file."""
    shapes = {"token_embd.weight": [DIM, VOCABULARY], "output_norm.weight": [DIM]}
    shapes |= {f"altup_{x}.weight": [DIM, DIM, STREAMS - 1] for x in ("proj", "unembd_proj")}
    shapes |= {"per_layer_token_embd.weight": [ROW * LAYERS, VOCABULARY]}
    shapes |= {"per_layer_model_proj.weight": [DIM, ROW * LAYERS]}
    shapes |= {"per_layer_proj_norm.weight": [ROW]}
    for index in range(LAYERS):
        shapes |= layer(f"blk.{index}")
    return {"kv": metadata(), "tensors": list(shapes.items())}


if __name__ == "__main__":
    remake({"gemma3n-dense": gemma3n()}, sys.argv[1])
