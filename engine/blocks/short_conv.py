"""Short convolution (LFM2, 2025): b, c, x = in(h);   out(c * conv(b * x))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.conv1d import CONV1D
from ..keys import Keys
from ..tables import Wanted
from .layer import Array, Layer
from .mixer import Mixer


@dataclass(frozen=True)
class ShortConv(Mixer):
    """Sizes: as many channels as the embedding has numbers."""

    channels: int
    taps: int

    @staticmethod
    def read(keys: Keys, layer: int) -> ShortConv:
        """From `shortconv.l_cache`."""
        channels = keys.integer("embedding_length", 1, 1 << 20)
        return ShortConv(channels, keys.integer("shortconv.l_cache", 2, 64))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        return [
            Wanted("shortconv.in_proj.weight", (3 * embedding, embedding)),
            Wanted("shortconv.conv.weight", (embedding, self.taps), turned=True),
            Wanted("shortconv.out_proj.weight", (embedding, embedding)),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last inputs of the convolution."""
        return {"conv": (self.taps - 1, self.channels)}

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, states, ops = layer.w, layer.states, layer.ops
        b, c, x = np.split(ops.matmul(w.shortconv_in_proj, h), 3, axis=1)
        bx = ops.multiply(b, x)
        y = ops.recur(CONV1D, bx.shape, states["conv"], [bx], [w.shortconv_conv, None])
        return ops.matmul(w.shortconv_out_proj, ops.multiply(c, y))
