"""Mamba 2 (Dao and Gu, 2024): one projection for all; one decay per head, b and c per group.

z, x b c, dt = in(h);   x, b, c = silu(conv(x b c))
out(norm(silu(z) * scan(x, softplus(dt + bias), a, b, c, d)))          the norm is over each group
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.conv1d import CONV1D_SILU
from ...kernels.ssm_scan import SSM_SCAN
from ..keys import Keys
from ..tables import Wanted
from .layer import Array, Layer
from .mixer import Mixer

MOST = 1 << 20


@dataclass(frozen=True)
class Mamba2(Mixer):
    """Sizes: `heads` and `groups` divide `inner`, `groups` divides `heads`."""

    inner: int
    taps: int
    state: int
    heads: int
    groups: int

    @staticmethod
    def read(keys: Keys, layer: int) -> Mamba2:
        """From `ssm.*`."""
        inner = keys.integer("ssm.inner_size", 1, MOST)
        heads = keys.divisor("ssm.time_step_rank", inner)
        return Mamba2(
            inner,
            keys.integer("ssm.conv_kernel", 2, 64),
            keys.integer("ssm.state_size", 1, 1 << 14),
            heads,
            keys.divisor("ssm.group_count", heads),
        )

    @property
    def channels(self) -> int:
        """What the convolution runs over: x, b and c."""
        return self.inner + 2 * self.groups * self.state

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        grouped = (self.groups, self.inner // self.groups)
        return [
            Wanted("ssm_in.weight", (self.inner + self.channels + self.heads, embedding)),
            Wanted("ssm_conv1d.weight", (self.channels, self.taps), turned=True),
            Wanted("ssm_conv1d.bias", (self.channels,), True),
            Wanted("ssm_dt.bias", (self.heads,)),
            Wanted("ssm_a", (self.heads, 1), plain=True),
            Wanted("ssm_d", (self.heads, 1), plain=True),
            Wanted("ssm_norm.weight", grouped, True, plain=True),
            Wanted("ssm_out.weight", (embedding, self.inner)),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolution, and the scan's state of each head."""
        scan = (self.heads, self.inner // self.heads, self.state)
        return {"conv": (self.taps - 1, self.channels), "scan": scan}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        rows, inner, channels = len(h), self.inner, self.channels
        z, xbc, dt = np.split(ops.matmul(w.ssm_in, h), [inner, inner + channels], axis=1)
        conv = (w.ssm_conv1d, w.ssm_conv1d_bias)
        xbc = ops.recur(CONV1D_SILU, (rows, channels), states["conv"], [xbc], conv)
        grouped = xbc[:, inner:].reshape(rows, 2, self.groups, self.state)
        x = xbc[:, :inner].reshape(rows, self.heads, -1)
        inputs = (x, ops.add(dt, w.ssm_dt_bias), grouped[:, 0], grouped[:, 1])
        weights = (w.ssm_a, w.ssm_d.reshape(-1))
        y = ops.recur(SSM_SCAN, (rows, inner), states["scan"], inputs, weights)
        y = ops.gate("silu", z, y)
        if w.ssm_norm is not None:
            y = ops.rms_norm(y.reshape(rows, self.groups, -1), None, layer.hparams.epsilon)
            y = ops.multiply(y.reshape(rows, inner), w.ssm_norm.reshape(-1))
        return ops.matmul(w.ssm_out, y)
