"""Fixture of Granite Switch: spec, and logits by llama.cpp.

python make_adapters.py PYTHON            (needs gguf here, llama_cpp in PYTHON)
"""

from __future__ import annotations

import sys
from typing import Any

from make_more import DIM, FF, LAYERS, TOKENS, attending, remake

HEADS, KEYS, RANK, SLOTS = 128, 64, 8, 4
# Tokens of the text that choose slots 1, 2 and 3; their means are 0, 3, 2.5 (which is 3) and 2.
CHOSEN = [int(TOKENS[i]) for i in (9, 3, 1)]


def granite_switch() -> dict[str, Any]:
    """Queries, keys and values in one matrix; low-rank weights of three adapters and slot 0."""
    made = attending("graniteswitch", {"attention.head_count_kv": 2, "rope.dimension_count": 32})
    kv, table = made["kv"], made["tensors"]
    scales = {"embedding_scale": 3.0, "residual_scale": 0.5, "attention.scale": 0.2}
    for name, number in (scales | {"logit_scale": 2.0, "adapters.router_gain": 12.0}).items():
        kv[f"graniteswitch.{name}"] = ["FLOAT32", number]
    kv["graniteswitch.adapters.count"] = ["UINT32", SLOTS - 1]
    kv["graniteswitch.adapters.lora_rank"] = ["UINT32", RANK]
    kv["graniteswitch.adapters.token_ids_activate"] = ["arr", "INT32", CHOSEN]
    kv["graniteswitch.adapters.token_ids_substitute"] = ["arr", "INT32", [3, 5, 90]]
    inner = {"attn_q": (DIM, HEADS), "attn_k": (DIM, KEYS), "attn_v": (DIM, KEYS)}
    inner |= {"attn_output": (HEADS, DIM), "ffn_gate": (DIM, FF), "ffn_up": (DIM, FF)}
    inner |= {"ffn_down": (FF, DIM)}
    for i in range(LAYERS):
        b = f"blk.{i}"
        table += [(f"{b}.attn_qkv.weight", [DIM, HEADS + 2 * KEYS])]
        table += [(f"{b}.attn_output.weight", [HEADS, DIM]), (f"{b}.ffn_gate.weight", [DIM, FF])]
        for name, (columns, rows) in inner.items():
            table += [(f"{b}.{name}.lora_a", [columns, RANK, SLOTS])]
            table += [(f"{b}.{name}.lora_b", [RANK, rows, SLOTS])]
    return made


if __name__ == "__main__":
    remake({"graniteswitch-dense": granite_switch()}, sys.argv[1])
