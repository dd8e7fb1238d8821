"""Lightning attention (Qin et al., 2024), as in MiniMax-01: linear, forgetting at a fixed rate.

    q, k, v = silu(attn_qkv(h));   out(norm(lightning(q, k, v)) * sigmoid(attn_gate(h)))

Head h of H forgets at 2^(-8 (h + 1) / H), less so in later layers; the norm is over all heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.lightning import LIGHTNING
from ..keys import Keys
from ..tables import Turns, Wanted
from .layer import Array, Layer
from .mixer import Mixer


@dataclass(frozen=True)
class Lightning(Mixer):
    """Sizes, and by how much this layer's rates are scaled."""

    heads: int
    dim: int
    slope_scale: float

    @staticmethod
    def read(keys: Keys, layer: int) -> Lightning:
        """From `attention.head_count` and `attention.key_length`."""
        count = keys.integer("block_count", 1, 1 << 11)
        heads = keys.per_layer("attention.head_count", count, None, 1 << 14)[layer]
        default = keys.integer("embedding_length", 1, 1 << 20) // max(1, heads)
        dim = keys.integer("attention.key_length", 1, 1 << 14, default)
        return Lightning(heads, dim, 1 - layer / max(1, count - 1) + 1e-5)

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        inner = self.heads * self.dim
        return [
            Wanted("attn_qkv.weight", (3 * inner, embedding), turns=Turns(self.heads, 3)),
            Wanted("attn_gate.weight", (inner, embedding)),
            Wanted("attn_norm_2.weight", (inner,)),
            Wanted("attn_output.weight", (embedding, inner)),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """Each head's matrix [value, key]."""
        return {"lightning": (self.heads, self.dim, self.dim)}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        rows, inner = len(h), self.heads * self.dim
        qkv = ops.activate("silu", ops.matmul(w.attn_qkv, h))
        qkv = qkv.reshape(rows, 3, self.heads, self.dim)
        rates = np.exp2(-8 / self.heads * np.arange(1, self.heads + 1)) * self.slope_scale
        inputs, weights = (qkv[:, 0], qkv[:, 1], qkv[:, 2]), [rates]
        y = ops.recur(LIGHTNING, (rows, inner), states["lightning"], inputs, weights)
        y = layer.norm("attn_norm_2", y)
        return ops.matmul(w.attn_output, ops.gate("sigmoid", ops.matmul(w.attn_gate, h), y))
