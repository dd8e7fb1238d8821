"""Gated delta net (Yang, Kautz and Hatamizadeh, 2024), as in Qwen3-Next and Qwen3.5.

q, k, v = silu(conv(attn_qkv(h)));   decay = exp(a softplus(alpha(h) + dt));   b = beta(h)
out(norm(delta_rule(q, k, v, decay, b)) * silu(attn_gate(h)))       the norm is over each head
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.conv1d import CONV1D_SILU
from ...kernels.delta_rule import DELTA_RULE, DELTA_RULE_SIDE_BY_SIDE
from ..keys import Keys
from ..tables import Turns, Wanted
from .layer import Array, Layer
from .mixer import Mixer

MOST = 1 << 20


@dataclass(frozen=True)
class GatedDelta(Mixer):
    """Sizes: `heads` of values, `groups` of queries and keys, `dim` numbers each.

    `mixed`: b and alpha are one projection, group by group, and neighbouring heads share a group.
    `gate` is the activation of the output's gate.
    """

    dim: int
    heads: int
    groups: int
    taps: int
    mixed: bool
    gate: str

    @staticmethod
    def read(keys: Keys, layer: int, mixed: bool = False, gate: str = "silu") -> GatedDelta:
        """From `ssm.*`."""
        inner = keys.integer("ssm.inner_size", 1, MOST)
        heads = keys.divisor("ssm.time_step_rank", inner)
        groups = keys.divisor("ssm.group_count", heads)
        keys.equal("ssm.state_size", inner // heads)
        taps = keys.integer("ssm.conv_kernel", 2, 64)
        return GatedDelta(inner // heads, heads, groups, taps, mixed, gate)

    @property
    def channels(self) -> int:
        """What the convolution runs over: q, k and v."""
        return (2 * self.groups + self.heads) * self.dim

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        inner = self.heads * self.dim
        beta = [Wanted(f"ssm_{name}.weight", (self.heads, embedding)) for name in ("beta", "alpha")]
        if self.mixed:
            turns = Turns(self.groups, 2)
            beta = [Wanted("ssm_ba.weight", (2 * self.heads, embedding), turns=turns)]
        return [
            Wanted("attn_qkv.weight", (self.channels, embedding)),
            Wanted("attn_gate.weight", (inner, embedding)),
            Wanted("ssm_conv1d.weight", (self.channels, self.taps), turned=True),
            *beta,
            Wanted("ssm_dt.bias", (self.heads,)),
            Wanted("ssm_a", (self.heads,)),
            Wanted("ssm_norm.weight", (self.dim,)),
            Wanted("ssm_out.weight", (embedding, inner)),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolution, and each head's matrix [value, key]."""
        conv = (self.taps - 1, self.channels)
        return {"conv": conv, "delta": (self.heads, self.dim, self.dim)}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        rows, heads, inner = len(h), self.heads, self.heads * self.dim
        qkv, shape = ops.matmul(w.attn_qkv, h), (rows, self.channels)
        qkv = ops.recur(CONV1D_SILU, shape, states["conv"], [qkv], [w.ssm_conv1d, None])
        qkv = qkv.reshape(rows, -1, self.dim)
        q, k, v = np.split(qkv, [self.groups, 2 * self.groups], axis=1)
        b, alpha = self._beta_and_alpha(layer, h)
        decay = ops.decay(alpha, w.ssm_dt_bias, w.ssm_a, 0.0, 1.0)
        rule = DELTA_RULE_SIDE_BY_SIDE if self.mixed else DELTA_RULE
        inputs, weights = (q, k, v, decay, b), [layer.hparams.epsilon]
        y = ops.recur(rule, (rows, heads, self.dim), states["delta"], inputs, weights)
        y = layer.norm("ssm_norm", y).reshape(rows, inner)
        return ops.matmul(w.ssm_out, ops.gate(self.gate, ops.matmul(w.attn_gate, h), y))

    def _beta_and_alpha(self, layer: Layer, h: Array) -> tuple[Array, Array]:
        """Both [rows, heads]."""
        w, ops = layer.w, layer.ops
        if self.mixed:
            ba = ops.matmul(w.ssm_ba, h)
            return ba[:, : self.heads], ba[:, self.heads :]
        return ops.matmul(w.ssm_beta, h), ops.matmul(w.ssm_alpha, h)
