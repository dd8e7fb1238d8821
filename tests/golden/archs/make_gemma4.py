"""Fixtures of Gemma 4, dense and with experts: specs, and logits by llama.cpp.

python make_gemma4.py PYTHON            (needs gguf here, llama_cpp in PYTHON)

LLAMA_CPP_LIB_PATH leads to a library built without GGML_GELU_FP16, as for make_golden.py.
"""

from __future__ import annotations

import sys
from typing import Any

from make_more import DIM, FF, VOCABULARY, remake

LOCAL, GLOBAL, ROWS = (32, 2), (64, 1), 24  # head and key heads; numbers that a token has per layer
HEADS, EXPERTS, EXPERT = 4, 6, 32


def metadata(local: list[bool], widths: list[int], more: dict[str, int]) -> dict[str, Any]:
    numbers = {
        "vocab_size": VOCABULARY, "context_length": 256, "embedding_length": DIM,
        "block_count": len(local), "attention.head_count": HEADS, "attention.sliding_window": 8,
        "attention.key_length": GLOBAL[0], "attention.value_length": GLOBAL[0],
        "attention.key_length_swa": LOCAL[0], "attention.value_length_swa": LOCAL[0],
        "rope.dimension_count": GLOBAL[0], "rope.dimension_count_swa": LOCAL[0] // 2,
        "embedding_length_per_layer_input": 0,
    }  # fmt: skip
    kv: dict[str, Any] = {"general.architecture": ["STRING", "gemma4"]}
    kv |= {f"gemma4.{key}": ["UINT32", value] for key, value in (numbers | more).items()}
    floats = {"attention.layer_norm_rms_epsilon": 1e-5, "final_logit_softcapping": 2.0}
    floats |= {"rope.freq_base": 2000.0, "rope.freq_base_swa": 500.0}
    kv |= {f"gemma4.{key}": ["FLOAT32", value] for key, value in floats.items()}
    kv_heads = [LOCAL[1] if near else GLOBAL[1] for near in local]
    kv["gemma4.attention.head_count_kv"] = ["arr", "UINT32", kv_heads]
    kv["gemma4.attention.sliding_window_pattern"] = ["arr", "BOOL", local]
    kv["gemma4.feed_forward_length"] = ["arr", "UINT32", widths]
    kv["tokenizer.ggml.model"] = ["STRING", "no_vocab"]
    return kv


def layer(i: int, near: bool, width: int, values: bool = True, keys: bool = True) -> list[Any]:
    """A layer's tensors: attention, the dense part, norms."""
    (head, kv), b = (LOCAL if near else GLOBAL), f"blk.{i}"
    table = [(f"{b}.attn_norm.weight", [DIM]), (f"{b}.ffn_norm.weight", [DIM])]
    table += [(f"{b}.post_attention_norm.weight", [DIM]), (f"{b}.post_ffw_norm.weight", [DIM])]
    rows = {"q": HEADS * head} | dict.fromkeys("k" * keys + "v" * (keys and values), kv * head)
    table += [(f"{b}.attn_{x}.weight", [DIM, count]) for x, count in rows.items()]
    table += [(f"{b}.attn_{x}_norm.weight", [head]) for x in ("qk" if keys else "q")]
    table += [(f"{b}.attn_output.weight", [HEADS * head, DIM])]
    table += [(f"{b}.ffn_{x}.weight", [DIM, width]) for x in ("gate", "up")]
    return [*table, (f"{b}.ffn_down.weight", [width, DIM])]


def top() -> list[Any]:
    return [
        ("token_embd.weight", [DIM, VOCABULARY]),
        ("output_norm.weight", [DIM]),
        ("rope_freqs.weight", [GLOBAL[0] // 2]),
    ]


def dense() -> dict[str, Any]:
    """Per-layer embeddings; the last two layers are wider and use the keys of earlier ones."""
    local, widths = [True, True, False, True, False], [FF, FF, FF, 2 * FF, 2 * FF]
    more = {"attention.shared_kv_layers": 2, "embedding_length_per_layer_input": ROWS}
    table, wide = top(), ROWS * len(local)
    table += [("per_layer_token_embd.weight", [wide, VOCABULARY])]
    table += [("per_layer_model_proj.weight", [DIM, wide]), ("per_layer_proj_norm.weight", [ROWS])]
    for i, (near, width) in enumerate(zip(local, widths, strict=True)):
        table += layer(i, near, width, keys=i < 3)
        table += [(f"blk.{i}.inp_gate.weight", [DIM, ROWS]), (f"blk.{i}.proj.weight", [ROWS, DIM])]
        table += [(f"blk.{i}.post_norm.weight", [DIM])]
        table += [(f"blk.{i}.layer_output_scale.weight", [1])] * (i in (1, 3))
    return {"kv": metadata(local, widths, more), "tensors": table}


def moe() -> dict[str, Any]:
    """The first layer has no experts; layers that see everything have no values of their own."""
    local, widths = [True, True, False, False], [FF, FF, 2 * FF, FF]
    more = {"expert_count": EXPERTS, "expert_used_count": 2, "expert_feed_forward_length": EXPERT}
    table = [*top(), ("output.weight", [DIM, VOCABULARY])]
    for i, (near, width) in enumerate(zip(local, widths, strict=True)):
        b, fused = f"blk.{i}", i == 2
        table += layer(i, near, width, values=near)
        if i == 0:
            continue
        table += [(f"{b}.ffn_gate_inp.weight", [DIM, EXPERTS]), (f"{b}.ffn_gate_inp.scale", [DIM])]
        norms = ("pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2")
        table += [(f"{b}.{x}.weight", [DIM]) for x in norms]
        rows = {"gate_up": 2 * EXPERT} if fused else {"gate": EXPERT, "up": EXPERT}
        table += [(f"{b}.ffn_{x}_exps.weight", [DIM, n, EXPERTS]) for x, n in rows.items()]
        table += [(f"{b}.ffn_down_exps.weight", [EXPERT, DIM, EXPERTS])]
        table += [(f"{b}.ffn_down_exps.scale", [EXPERTS])] * (i > 1)
        table += [(f"{b}.layer_output_scale.weight", [1])] * (i == 3)
    return {"kv": metadata(local, widths, more), "tensors": table}


if __name__ == "__main__":
    remake({"gemma4-dense": dense(), "gemma4-moe": moe()}, sys.argv[1])
