"""Embeddings of n-grams (Qwen, 2026): hashes of the last tokens pick rows of a table, gated.

    row[g] = (token m[0] ^ the one before m[1] ^ ...) mod size[g] + offset[g]    for n = 2 ... N
    k, v = rows;   gate = sigmoid(root(norm(k) . norm(x) / sqrt(dim))), per stream
    x += gate v + silu(conv(norm(gate v)))

root(s) keeps the sign of s; the convolution's taps are N tokens apart; each n has a few rows. An
end-of-text token hides what stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from ...formats.errors import MetadataError
from ...kernels.conv1d import dilated_silu
from ...kernels.hyper_connections import sigmoid_ref
from ...kernels.recurrence import Recurrence
from ..keys import Keys
from ..tables import Wanted
from .layer import Array, Layer

F64 = NDArray[np.float64]
HALF = 1 << 20  # row numbers go in two parts, as a float32 holds 24 bits
MASK = (1 << 64) - 1
LEAST = 1e-6


@dataclass(frozen=True)
class Ngrams:
    """One of `multipliers` per token of an n-gram; `sizes` and `offsets` per row picked."""

    multipliers: tuple[int, ...]
    per_length: int
    sizes: tuple[int, ...]
    offsets: tuple[int, ...]
    end: int
    taps: int
    dim: int
    streams: int
    embedding: int

    @staticmethod
    def read(keys: Keys, layer: int) -> Ngrams | None:
        """From `ple.*`; None if the layer has none."""
        if layer not in keys.integers("ple.layers"):
            return None
        longest = keys.integer("ple.ngram_size", 2, 16)
        per_length = keys.integer("ple.heads_per_ngram", 1, 256)
        count = (longest - 1) * per_length
        spec = Ngrams(
            multipliers=keys.integers("ple.layer_multipliers", longest)[:longest],
            per_length=per_length,
            sizes=keys.integers("ple.head_vocab_sizes", count)[:count],
            offsets=keys.integers("ple.head_offsets", count)[:count],
            end=keys.integer("ple.eos_token_id", 0, 1 << 31),
            taps=keys.integer("ple.conv_kernel", 2, 64),
            dim=keys.integer("embedding_length_per_layer_input", 1, 1 << 20),
            streams=keys.integer("hyper_connection.count", 1, 64),
            embedding=keys.integer("embedding_length", 1, 1 << 20),
        )
        if min(spec.sizes) < 1 or min(spec.offsets) < 0:
            name = f"{keys.prefix}.ple.head_vocab_sizes"
            raise MetadataError(name, None, str(min(spec.sizes)), "1 or more")
        return spec

    @property
    def table_rows(self) -> int:
        """How many rows the table must have."""
        return max(size + offset for size, offset in zip(self.sizes, self.offsets, strict=True))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""
        wide, rows = self.streams * embedding, len(self.sizes) * self.dim
        norms = ("key", "query", "conv")
        return [
            Wanted("ple_key.weight", (wide, rows)),
            Wanted("ple_value.weight", (embedding, rows)),
            Wanted("ple_conv1d.weight", (wide, self.taps), turned=True),
            *(Wanted(f"ple_norm_{n}.weight", (self.streams, embedding), plain=True) for n in norms),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last tokens, each plus one; and what the convolution reads."""
        longest, wide = len(self.multipliers), self.streams * self.embedding
        return {"tokens": (longest - 1,), "ngrams": ((self.taps - 1) * longest, wide)}

    def enter(self, layer: Layer, top: SimpleNamespace, x: Array) -> Array:
        """x [rows, streams * embedding] -> the same shape."""
        ops, states, rows = layer.ops, layer.states, len(x)
        table = self._looked_up(layer, top)
        key = self._normed(layer, "key", layer.linear("ple_key", table))
        query = self._normed(layer, "query", x)
        gate = ops.twin(self._gate, (rows, self.streams), key, query)
        value = layer.linear("ple_value", table)
        gated = ops.twin(_spread, x.shape, gate, value)
        normed = self._normed(layer, "conv", gated)
        conv = dilated_silu(len(self.multipliers))
        passed = ops.recur(conv, x.shape, states["ngrams"], [normed], [layer.w.ple_conv1d])
        return ops.add(x, ops.add(gated, passed))

    def _normed(self, layer: Layer, name: str, x: Array) -> Array:
        weight = getattr(layer.w, f"ple_norm_{name}").reshape(-1)
        streams = x.reshape(len(x), self.streams, -1)
        normed = layer.ops.rms_norm(streams, None, layer.hparams.epsilon)
        return layer.ops.multiply(normed.reshape(x.shape), weight)

    def _looked_up(self, layer: Layer, top: SimpleNamespace) -> Array:
        """The rows that each token picks, side by side: [rows, heads * dim]."""
        ops, rows, heads = layer.ops, len(layer.step.tokens), len(self.sizes)
        inputs, shape = [layer.step.tokens[:, None]], (rows, 2 * heads)
        parts = ops.recur(Recurrence(self.hash), shape, layer.states["tokens"], inputs, ())
        ids = np.zeros(rows * heads, np.int64)

        def fill(parts: F64) -> F64:
            ids[:] = (parts[:, :heads] * HALF + parts[:, heads:]).reshape(-1)
            return parts

        ops.twin(fill, shape, parts)
        return ops.embed(top.per_layer_token_embd, ids).reshape(rows, heads * self.dim)

    def hash(self, past: F64, token: F64) -> tuple[F64, F64]:
        """past [n - 1], latest first, plus one; token [1] -> rows in parts [2 * heads], past."""
        window, hidden = [int(token[0])], False
        for before in past:
            hidden = hidden or before == 0 or int(before) - 1 == self.end
            window.append(self.end if hidden else int(before) - 1)
        rows, mixed = [], window[0] * self.multipliers[0]
        for n in range(1, len(window)):
            mixed ^= window[n] * self.multipliers[n]
            for head in range((n - 1) * self.per_length, n * self.per_length):
                rows.append((mixed & MASK) % self.sizes[head] + self.offsets[head])
        parts = np.array([divmod(row, HALF) for row in rows], np.float64).T
        return parts.reshape(-1), np.concatenate([token + 1, past[:-1]])

    def _gate(self, key: F64, query: F64) -> F64:
        shape = (len(key), self.streams, -1)
        s = (key * query).reshape(shape).sum(axis=2) / self.embedding**0.5
        return sigmoid_ref(np.sign(s) * np.sqrt(np.maximum(np.abs(s), LEAST)))


def _spread(gate: F64, value: F64) -> F64:
    return (gate[:, :, None] * value[:, None]).reshape(len(value), -1)
