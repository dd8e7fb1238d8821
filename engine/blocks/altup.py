"""AltUp (Baykal et al., 2023): n streams, of which each layer computes one and corrects the others.

    p[i] = x[i] + sum over j of A[i, j] x[j]            predicted; A from the active stream
    y = layer(p[active])
    x[i] = p[i] + (1 + b[i]) (y - p[active])            corrected; b from y

A and b are matrices times tanh(R norm(.) / dim). Each stream but the first also adds what the
corrected active one finds in its token's row (token_rows.py). At the start the other streams are
projections of the embedding, at the end they are projected back and the mean is taken; each
projection gets the length of the active row. Gemma 3n (2025) has a low-rank path beside attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ...kernels.ops import Ops
from ..keys import Keys
from ..weights import Wanted
from .block import mix
from .layer import Array, Layer, row_mean
from .moe import feed_forward
from .token_rows import from_token_row

RANK = 64  # of the path beside attention; files do not say it
LEAST = 1e-12


@dataclass(frozen=True)
class AltUp:
    """How many streams, and which is active."""

    streams: int
    active: int

    @staticmethod
    def read(keys: Keys) -> AltUp:
        """From `altup.*`."""
        streams = keys.integer("altup.num_inputs", 2, 64, 4)
        return AltUp(streams, keys.integer("altup.active_idx", 0, streams - 1, 0))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""
        n, dim = self.streams, embedding
        return [
            Wanted("altup_router.weight", (n, dim)),
            Wanted("altup_router_norm.weight", (dim,)),
            Wanted("altup_predict_coef.weight", (n * n, n)),
            Wanted("altup_correct_coef.weight", (n, n)),
            Wanted("altup_correct_scale.weight", (dim,)),
            Wanted("laurel_l.weight", (RANK, dim)),
            Wanted("laurel_r.weight", (dim, RANK)),
            Wanted("laurel_post_norm.weight", (dim,)),
        ]

    def model_tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of the model."""
        shape = self.streams - 1, embedding, embedding
        return [Wanted(f"altup_{name}.weight", shape) for name in ("proj", "unembd_proj")]

    def begin(self, x: Array, top: SimpleNamespace, ops: Ops) -> Array:
        """From embeddings [rows, dim] to streams [rows, n * dim]."""
        others = ops.experts(top.altup_proj, x, self._each(x, ops))
        return ops.join(x, as_long(ops, others, x))

    def end(self, streams: Array, top: SimpleNamespace, ops: Ops) -> Array:
        """To [rows, dim], for the output."""
        first, *others = self._apart(streams)
        rows, dim = first.shape
        rest = ops.columns(streams, dim, self.streams * dim).reshape(rows, len(others), dim)
        back = ops.experts(top.altup_unembd_proj, rest, self._each(first, ops))
        back = as_long(ops, back, self._apart(streams)[self.active])
        total = ops.combine(ops.join(first, back).reshape(rows, self.streams, dim), None)
        return ops.scale(total, 1 / self.streams)

    def layer(self, layer: Layer, streams: Array) -> Array:
        """One layer, streams [rows, n * dim] -> the same shape."""
        ops = layer.ops
        predicted = self.predict(layer, streams)
        corrected = self.correct(layer, predicted, _computed(layer, predicted[self.active]))
        seen = ops.multiply(corrected[self.active], layer.w.altup_correct_scale)
        added = from_token_row(layer, seen)
        if added is not None:
            corrected[1:] = [ops.add(x, added) for x in corrected[1:]]
        return beside(ops, corrected)

    def predict(self, layer: Layer, streams: Array) -> list[Array]:
        """Each stream from all of them: n times [rows, dim]."""
        ops, n, rows = layer.ops, self.streams, len(streams)
        state = _state(layer, self._apart(streams)[self.active])
        mixes = ops.matmul(layer.w.altup_predict_coef, state)
        mixes = ops.add(mixes, np.eye(n, dtype=ops.number).reshape(-1))
        shares = [ops.columns(mixes, n * i, n * (i + 1)) for i in range(n)]
        return [ops.combine(streams.reshape(rows, n, -1), share) for share in shares]

    def correct(self, layer: Layer, predicted: list[Array], y: Array) -> list[Array]:
        """Each stream by the active one's result y [rows, dim]: n times [rows, dim]."""
        ops, n = layer.ops, self.streams
        coefs = ops.matmul(layer.w.altup_correct_coef, _state(layer, y))
        coefs = ops.add(coefs, np.ones(n, ops.number))
        news = ops.add(y, ops.scale(predicted[self.active], -1.0))[:, None]
        shares = [ops.columns(coefs, i, i + 1) for i in range(n)]
        steps = [ops.combine(news, share) for share in shares]
        return [ops.add(x, step) for x, step in zip(predicted, steps, strict=True)]

    def _apart(self, streams: Array) -> list[Array]:
        """Views of each stream."""
        dim = streams.shape[1] // self.streams
        return [streams[:, dim * i : dim * (i + 1)] for i in range(self.streams)]

    def _each(self, x: Array, ops: Ops) -> Array:
        """Every other stream's number, for each row."""
        return np.tile(np.arange(self.streams - 1, dtype=ops.number), (len(x), 1))


def _state(layer: Layer, x: Array) -> Array:
    """What coefficients are made of: [rows, n]."""
    ops, dim = layer.ops, x.shape[1]
    routed = ops.matmul(layer.w.altup_router, layer.norm("altup_router_norm", x))
    return ops.soft_cap(ops.scale(routed, 1 / dim), 1.0)


def _computed(layer: Layer, x: Array) -> Array:
    """Attention and feed-forward of one stream, with the low-rank path beside attention."""
    ops = layer.ops
    h = layer.norm("attn_norm", x)
    attended = ops.add(x, layer.norm("post_attention_norm", mix(layer, h)))
    x = ops.scale(ops.add(attended, low_rank(layer, h)), 0.5**0.5)
    fed = feed_forward(layer, layer.norm("ffn_norm", x), x)
    return ops.add(x, layer.norm("post_ffw_norm", fed))


def low_rank(layer: Layer, h: Array) -> Array:
    """h + norm(R L h), a learned residual (Menghani et al., LAuReL, 2024)."""
    added = layer.linear("laurel_r", layer.linear("laurel_l", h))
    return layer.ops.add(h, layer.norm("laurel_post_norm", added))


def as_long(ops: Ops, others: Array, x: Array) -> Array:
    """others [rows, m, dim], each with the length of x [rows, dim]: [rows, m * dim]."""
    rows = len(x)
    length = row_mean(ops, ops.multiply(x, ops.rms_norm(x, None, LEAST)))
    units = ops.rms_norm(others, None, LEAST)
    return ops.combine(units.reshape(rows, 1, -1), length)


def beside(ops: Ops, parts: list[Array]) -> Array:
    """Arrays [rows, ...] side by side; halves are joined first, so that few wait for others."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return ops.join(beside(ops, parts[:half]), beside(ops, parts[half:]))
