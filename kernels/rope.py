"""Rotary position: turn each pair of numbers by position * base^(-2i/dim) (Su et al., 2021).

    y0 = x0 cos a - x1 sin a,   y1 = x0 sin a + x1 cos a

Pairs are neighbours (2i, 2i+1) or halves (i, i + dim/2). Angles are float64; their sine and cosine
come from additions and multiplications alone, and the bases' powers from decimal arithmetic, so
that the table is the same on every machine.
"""

from __future__ import annotations

import decimal
import functools
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .simd import (
    evens,
    load_f32,
    load_f32x16,
    odds,
    store_f32,
    store_f32x16,
    zip_high,
    zip_low,
)
from .tape import kernel

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# pi / 2 in three parts of 33 bits (fdlibm, e_rem_pio2.c), so that n * part is exact for n < 2^20.
PIO2 = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
SINE = (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800, -1 / 1307674368000)
COSINE = (
    -1 / 2,
    1 / 24,
    -1 / 720,
    1 / 40320,
    -1 / 3628800,
    1 / 479001600,
    -1 / 87178291200,
    1 / 20922789888000,
)


@functools.cache
def frequencies(base: float, dim: int) -> tuple[float, ...]:
    """base^(-2i/dim) for i < dim/2, each the float64 nearest to the exact power."""
    with decimal.localcontext(prec=40):
        log = decimal.Decimal(base).ln()
        return tuple(float((-log * 2 * i / dim).exp()) for i in range(dim // 2))


def _series(z: F64, coefficients: tuple[float, ...]) -> F64:
    total = np.full_like(z, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * z + c
    return total


def sine_cosine(angles: F64) -> tuple[F64, F64]:
    """Sine and cosine, within 2 units in the last place of float64 for angles below 2^20."""
    n = np.rint(angles * (2 / np.pi))
    r = ((angles - n * PIO2[0]) - n * PIO2[1]) - n * PIO2[2]
    z = r * r
    sine, cosine = r + r * z * _series(z, SINE), 1 + z * _series(z, COSINE)
    quarter = n.astype(np.int64) & 3
    swap = (quarter & 1) == 1
    s, c = np.where(swap, cosine, sine), np.where(swap, sine, cosine)
    return np.where(quarter >= 2, -s, s), np.where((quarter == 1) | (quarter == 2), -c, c)


def rope_ref(x: F64, cos: F64, sin: F64, halves: bool) -> F64:
    """x [rows, heads, dim], cos and sin [rows, n]: the first 2n numbers of each head turn."""
    n = cos.shape[-1]
    cos, sin, out = cos[:, None], sin[:, None], x.copy()
    first, second = (
        (slice(0, n), slice(n, 2 * n)) if halves else (slice(0, 2 * n, 2), slice(1, 2 * n, 2))
    )
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., first] * sin + x[..., second] * cos
    return out


@kernel("rope")
def rope(part, parts, thread, x, cos, sin, out, rows, heads, dim, stride, n, halves):
    """x float32 [rows, heads, dim], rows `stride` bytes apart -> out [rows, heads, dim]."""
    for index in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
        row, head = index // heads, index % heads
        source, to = x + row * stride + 4 * head * dim, out + 4 * index * dim
        c, s = cos + 4 * row * n, sin + 4 * row * n
        for i in range(0, n - 15, 16):
            vc, vs = load_f32x16(c + 4 * i), load_f32x16(s + 4 * i)
            if halves:
                a, b = load_f32x16(source + 4 * i), load_f32x16(source + 4 * (i + n))
                store_f32x16(to + 4 * i, a * vc - b * vs)
                store_f32x16(to + 4 * (i + n), a * vs + b * vc)
            else:
                low, high = load_f32x16(source + 8 * i), load_f32x16(source + 8 * i + 64)
                a, b = evens(low, high), odds(low, high)
                first, second = a * vc - b * vs, a * vs + b * vc
                store_f32x16(to + 8 * i, zip_low(first, second))
                store_f32x16(to + 8 * i + 64, zip_high(first, second))
        for i in range(n // 16 * 16, n):
            at_a = i if halves else 2 * i
            at_b = i + n if halves else 2 * i + 1
            a, b = load_f32(source + 4 * at_a), load_f32(source + 4 * at_b)
            u, v = load_f32(c + 4 * i), load_f32(s + 4 * i)
            store_f32(to + 4 * at_a, a * u - b * v)
            store_f32(to + 4 * at_b, a * v + b * u)
        for i in range(2 * n, dim):
            store_f32(to + 4 * i, load_f32(source + 4 * i))


class RopeTable:
    """Cosine and sine by position, computed in blocks of 256 positions when first asked for."""

    BLOCK = 256
    FEW = 8  # rows looked up one by one: after a step NumPy's functions are cold, 10 to 30 us each

    def __init__(
        self,
        base: float,
        dim: int,
        divide: float,
        number: DTypeLike,
        turns: F64 | None = None,
        magnitude: float = 1.0,
    ) -> None:
        """`turns` [dim / 2] are angles per position, in place of the base's."""
        self._turns = np.array(frequencies(base, dim)) / divide if turns is None else turns
        self._magnitude = magnitude
        self._number = np.dtype(number)
        self._blocks: dict[int, NDArray[Any]] = {}

    def look_up(self, positions: NDArray[np.int64], cos: NDArray[Any], sin: NDArray[Any]) -> None:
        """Write the rows of `positions` to cos and sin [rows, dim / 2]."""
        if len(positions) <= self.FEW:
            for row, position in enumerate(positions.tolist()):
                index, place = divmod(position, self.BLOCK)
                cos[row], sin[row] = self._block(index)[:, place]
            return
        blocks, places = np.divmod(positions, self.BLOCK)
        found = set(blocks.tolist())
        for index in found:
            rows = blocks == index if len(found) > 1 else slice(None)
            cos[rows], sin[rows] = self._block(index)[:, places[rows]]

    def _block(self, index: int) -> NDArray[Any]:
        if index not in self._blocks:
            start = index * self.BLOCK
            angles = np.arange(start, start + self.BLOCK, dtype=np.float64)[:, None] * self._turns
            sine, cosine = sine_cosine(angles)
            self._blocks[index] = (self._magnitude * np.stack([cosine, sine])).astype(self._number)
        return self._blocks[index]
