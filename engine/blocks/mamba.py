"""Mamba (Gu and Dao, 2023): convolution, then a scan whose decay differs by channel and state.

    x, z = in(h);   x = silu(conv(x));   dt, b, c = x_proj(x)
    out(silu(z) * scan(x, softplus(dt_proj(dt) + bias), a, b, c, d))

Jamba and Falcon Mamba norm dt, b and c. PLaMo 2 shares one decay among the channels of a head and
projects b, c, dt in that order; its z and x take turns head by head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.conv1d import CONV1D_SILU
from ...kernels.ssm_scan import SSM_SCAN
from ..keys import Keys
from ..tables import Turns, Wanted
from .layer import Array, Layer
from .mixer import Mixer

MOST = 1 << 20


@dataclass(frozen=True)
class Mamba(Mixer):
    """Sizes: `inner` channels, `state` numbers each, dt from `rank` numbers.

    `normed`: dt, b and c are, even without weights.
    """

    inner: int
    taps: int
    state: int
    rank: int
    normed: bool

    @staticmethod
    def read(keys: Keys, layer: int) -> Mamba:
        """From `ssm.*`."""
        return Mamba(
            keys.integer("ssm.inner_size", 1, MOST),
            keys.integer("ssm.conv_kernel", 2, 64),
            keys.integer("ssm.state_size", 1, 1 << 14),
            keys.integer("ssm.time_step_rank", 1, MOST),
            keys.flag("ssm.dt_b_c_rms", False),
        )

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        norms = (("dt", self.rank), ("b", self.state), ("c", self.state))
        return [
            Wanted("ssm_in.weight", (2 * self.inner, embedding)),
            Wanted("ssm_conv1d.weight", (self.inner, self.taps), turned=True),
            Wanted("ssm_conv1d.bias", (self.inner,)),
            Wanted("ssm_x.weight", (self.rank + 2 * self.state, self.inner)),
            Wanted("ssm_dt.weight", (self.inner, self.rank)),
            Wanted("ssm_dt.bias", (self.inner,)),
            Wanted("ssm_a", (self.inner, self.state), plain=True),
            Wanted("ssm_d", (self.inner,)),
            Wanted("ssm_out.weight", (embedding, self.inner)),
            *(Wanted(f"ssm_{name}_norm.weight", (size,), True) for name, size in norms),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolution, and the scan's state of each channel."""
        return {"conv": (self.taps - 1, self.inner), "scan": (self.inner, 1, self.state)}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        rows, inner = len(h), self.inner
        xz = ops.matmul(w.ssm_in, h)
        x, z = xz[:, :inner], xz[:, inner:]
        conv = (w.ssm_conv1d, w.ssm_conv1d_bias)
        x = ops.recur(CONV1D_SILU, (rows, inner), states["conv"], [x], conv)
        mixed = ops.matmul(w.ssm_x, x)
        dt, b, c = np.split(mixed, [self.rank, self.rank + self.state], axis=1)
        if self.normed or w.ssm_dt_norm is not None:
            dt, b, c = normed_all(layer, dt, b, c)
        dt = ops.add(ops.matmul(w.ssm_dt, dt), w.ssm_dt_bias)
        inputs = (x[:, :, None], dt, b[:, None], c[:, None])
        y = ops.recur(SSM_SCAN, (rows, inner), states["scan"], inputs, (w.ssm_a, w.ssm_d))
        return ops.matmul(w.ssm_out, ops.gate("silu", z, y))


@dataclass(frozen=True)
class HeadedMamba(Mixer):
    """Sizes: `heads` that divide `inner`, `dt` numbers before dt's projection."""

    inner: int
    taps: int
    state: int
    heads: int
    dt: int

    @staticmethod
    def read(keys: Keys, layer: int) -> HeadedMamba:
        """From `ssm.*`."""
        inner = keys.integer("ssm.inner_size", 1, MOST)
        return HeadedMamba(
            inner,
            keys.integer("ssm.conv_kernel", 2, 64),
            keys.integer("ssm.state_size", 1, 1 << 14),
            keys.divisor("ssm.time_step_rank", inner),
            max(64, keys.integer("embedding_length", 1, MOST) // 16),
        )

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        norms = (("dt", self.dt), ("b", self.state), ("c", self.state))
        turns = Turns(self.heads, 2)
        return [
            Wanted("ssm_in.weight", (2 * self.inner, embedding), turns=turns),
            Wanted("ssm_conv1d.weight", (self.inner, self.taps), turned=True),
            Wanted("ssm_x.weight", (self.dt + 2 * self.state, self.inner)),
            Wanted("ssm_dt.weight", (self.heads, self.dt)),
            Wanted("ssm_dt.bias", (self.heads,)),
            Wanted("ssm_a", (self.heads,)),
            Wanted("ssm_d", (self.heads,)),
            Wanted("ssm_out.weight", (embedding, self.inner)),
            *(Wanted(f"ssm_{name}_norm.weight", (size,)) for name, size in norms),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolution, and the scan's state of each head."""
        scan = (self.heads, self.inner // self.heads, self.state)
        return {"conv": (self.taps - 1, self.inner), "scan": scan}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        rows, inner = len(h), self.inner
        zx = ops.matmul(w.ssm_in, h)
        z, x = zx[:, :inner], zx[:, inner:]
        x = ops.recur(CONV1D_SILU, (rows, inner), states["conv"], [x], [w.ssm_conv1d, None])
        mixed = ops.matmul(w.ssm_x, x)
        b, c, dt = np.split(mixed, [self.state, 2 * self.state], axis=1)
        dt, b, c = normed_all(layer, dt, b, c)
        dt = ops.add(ops.matmul(w.ssm_dt, dt), w.ssm_dt_bias)
        inputs = (x.reshape(rows, self.heads, -1), dt, b[:, None], c[:, None])
        weights = (w.ssm_a[:, None], w.ssm_d)
        y = ops.recur(SSM_SCAN, (rows, inner), states["scan"], inputs, weights)
        return ops.matmul(w.ssm_out, ops.gate("silu", z, y))


def normed_all(layer: Layer, dt: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    """The norms that some models put before the scan."""
    return (
        layer.norm("ssm_dt_norm", dt),
        layer.norm("ssm_b_norm", b),
        layer.norm("ssm_c_norm", c),
    )
