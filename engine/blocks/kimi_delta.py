"""Kimi Delta Attention (Kimi Team, 2025): a delta rule that forgets each key channel by itself.

    q, k, v = silu(conv(attn_q(h))), ...;   decay = exp(g(f(h)));   b = beta(h)
    out(norm(delta_rule(q, k, v, decay, b)) * sigmoid(gate(h)))         the norm is over each head

f and gate are one matrix or two of low rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ...kernels.conv1d import CONV1D_SILU
from ...kernels.delta_rule import DELTA_RULE
from ..keys import Keys
from ..tables import Wanted
from .layer import Array, Layer
from .mixer import Mixer

QKV = "qkv"


class Rank(Enum):
    """Which of f and the gate are of low rank."""

    BOTH = auto()  # ssm_f_a, ssm_f_b; ssm_g_a, ssm_g_b
    DECAY = auto()  # ssm_f_a, ssm_f_b; ssm_g
    NEITHER = auto()  # ssm_f_a; ssm_g_a


@dataclass(frozen=True)
class KimiDelta(Mixer):
    """Sizes and variants; `bound` 0: none. `sign` times a is the rate of a bounded decay."""

    heads: int
    dim: int
    taps: int
    rank: Rank
    bound: float
    sign: float
    unit_epsilon: float

    @staticmethod
    def read(
        keys: Keys,
        layer: int,
        rank: Rank = Rank.BOTH,
        sign: float = -1.0,
        unit_epsilon: float = 0.0,
    ) -> KimiDelta:
        """From `kda.*`, `ssm.conv_kernel` and the most heads that any layer has."""
        count = keys.integer("block_count", 1, 1 << 11)
        heads = max(keys.per_layer("attention.head_count", count, None, 1 << 14))
        dim = keys.integer("kda.head_dim", 1, 1 << 14)
        taps = keys.integer("ssm.conv_kernel", 2, 64)
        bound = keys.number("kda.gate_lower_bound", 0.0)
        return KimiDelta(heads, dim, taps, rank, bound, sign, unit_epsilon)

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        inner, dim = self.heads * self.dim, self.dim
        low_f = [("f_a", dim, embedding), ("f_b", inner, dim)]
        low_g = [("g_a", dim, embedding), ("g_b", inner, dim)]
        low = {
            Rank.BOTH: [*low_f, *low_g],
            Rank.DECAY: [*low_f, ("g", inner, embedding)],
            Rank.NEITHER: [("f_a", inner, embedding), ("g_a", inner, embedding)],
        }[self.rank]
        return [
            *(Wanted(f"attn_{x}.weight", (inner, embedding)) for x in QKV),
            *(Wanted(f"ssm_conv1d_{x}.weight", (inner, 1, self.taps), turned=True) for x in QKV),
            *(Wanted(f"ssm_{name}.weight", (n, k)) for name, n, k in low),
            Wanted("ssm_beta.weight", (self.heads, embedding)),
            Wanted("ssm_a", (self.heads, 1), plain=True),
            Wanted("ssm_dt.bias", (inner,)),
            Wanted("ssm_norm.weight", (dim,)),
            Wanted("attn_output.weight", (embedding, inner)),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolutions, and each head's matrix [value, key]."""
        conv = (self.taps - 1, self.heads * self.dim)
        return {x: conv for x in QKV} | {"delta": (self.heads, self.dim, self.dim)}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops, rows = layer.w, layer.ops, len(h)
        shape = (rows, self.heads, self.dim)
        q, k, v = (self._convolved(layer, x, h).reshape(shape) for x in QKV)
        f, gate = self._decay_and_gate(layer, h)
        decay = ops.decay(f, w.ssm_dt_bias, w.ssm_a, self.bound, self.sign)
        b = ops.matmul(w.ssm_beta, h)
        weights = [self.unit_epsilon or layer.hparams.epsilon]
        y = ops.recur(DELTA_RULE, shape, layer.states["delta"], (q, k, v, decay, b), weights)
        y = layer.norm("ssm_norm", y).reshape(rows, -1)
        return ops.matmul(w.attn_output, ops.gate("sigmoid", gate, y))

    def _convolved(self, layer: Layer, x: str, h: Array) -> Array:
        inner, ops = self.heads * self.dim, layer.ops
        projected = ops.matmul(getattr(layer.w, f"attn_{x}"), h)
        taps = getattr(layer.w, f"ssm_conv1d_{x}").reshape(self.taps, inner)
        shape = (len(h), inner)
        return ops.recur(CONV1D_SILU, shape, layer.states[x], [projected], [taps, None])

    def _decay_and_gate(self, layer: Layer, h: Array) -> tuple[Array, Array]:
        """Both [rows, heads * dim]."""
        w, ops = layer.w, layer.ops
        f = ops.matmul(w.ssm_f_a, h)
        if self.rank is Rank.NEITHER:
            return f, ops.matmul(w.ssm_g_a, h)
        f = ops.matmul(w.ssm_f_b, f)
        if self.rank is Rank.DECAY:
            return f, ops.matmul(w.ssm_g, h)
        return f, ops.matmul(w.ssm_g_b, ops.matmul(w.ssm_g_a, h))
