"""Which type each matrix has in a mixed file: llama.cpp's Q3_K_M, Q4_K_M and Q5_K_M.

The rules are those of `llama_tensor_get_type` (llama.cpp, src/llama-quant.cpp) for a llama whose
output is tied to its embedding.
"""

from __future__ import annotations

BASES = {"q3_k_m": "q3_k", "q4_k_m": "q4_k", "q5_k_m": "q5_k"}


def type_of(kind: str, name: str, layer: int, layers: int) -> str:
    """The type of matrix `name` ("attn_v", "token_embd") of `layer` in a file of `kind`."""
    if kind not in BASES:
        return kind
    if name == "token_embd":
        return "q6_k"
    if kind == "q3_k_m":
        return _of_q3_k_m(name, layer, layers)
    finer = name in ("attn_v", "ffn_down") and _more_bits(layer, layers)
    return "q6_k" if finer else BASES[kind]


def _of_q3_k_m(name: str, layer: int, layers: int) -> str:
    if name in ("attn_v", "ffn_down"):
        first = 2 if name == "attn_v" else layers // 16
        return "q5_k" if layer < first else "q4_k"
    return "q4_k" if name == "attn_output" else "q3_k"


def _more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth of the layers, and each third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
