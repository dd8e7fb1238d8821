"""What blocks read from and add to: parallel streams of numbers, or a row and its past.

    h, link = residual.enter(x, w, part, layer, epsilon, ops)       what a block's part reads
    x = residual.leave(x, y, link, ops)                             its result y added

`part` is "attn" or "ffn". Each residual says which tensors it reads, of a layer and of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from ...kernels import hyper_connections as hc
from ...kernels.ops import Ops
from ..keys import Keys
from ..weights import Wanted

Array = Any
PARTS = ("attn", "ffn")


class Residual(Protocol):
    """Made by `read(keys)`."""

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""

    def model_tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of the model."""

    def begin(self, x: Array, ops: Ops) -> Any:
        """From embeddings [rows, embedding]."""

    def enter(
        self, x: Any, w: SimpleNamespace, part: str, layer: int, epsilon: float, ops: Ops
    ) -> tuple[Array, Any]:
        """What a block's part reads, [rows, embedding], and what `leave` needs to know."""

    def leave(self, x: Any, y: Array, link: Any, ops: Ops) -> Any:
        """With a part's result y [rows, embedding]."""

    def end(self, x: Any, w: SimpleNamespace, epsilon: float, ops: Ops) -> Array:
        """To [rows, embedding], for the output."""


@dataclass(frozen=True)
class HyperConnections:
    """`rounds` of Sinkhorn's, 0: streams do not mix. `headed`: the end has weights."""

    streams: int
    epsilon: float
    rounds: int
    magnitude: float
    headed: bool

    @staticmethod
    def read(keys: Keys, headed: bool = True) -> HyperConnections:
        """From `hyper_connection.*`."""
        return HyperConnections(
            keys.integer("hyper_connection.count", 1, 64),
            keys.number("hyper_connection.epsilon"),
            keys.integer("hyper_connection.sinkhorn_iterations", 0, 1 << 10, 0),
            keys.number("hyper_connection.magnitude", 1.0),
            headed,
        )

    @property
    def logits(self) -> int:
        """How many coefficients a row has."""
        return (2 + (self.streams if self.rounds else 0)) * self.streams

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""
        kinds = 3 if self.rounds else 2
        table = []
        for part in PARTS:
            table += [
                Wanted(f"hc_{part}_fn.weight", (self.logits, self.streams * embedding)),
                Wanted(f"hc_{part}_base.weight", (self.logits,)),
                Wanted(f"hc_{part}_scale.weight", (kinds,)),
            ]
        return table

    def model_tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of the model."""
        if not self.headed:
            return []
        return [
            Wanted("output_hc_fn.weight", (self.streams, self.streams * embedding)),
            Wanted("output_hc_base.weight", (self.streams,)),
            Wanted("output_hc_scale.weight", (1,)),
        ]

    def begin(self, x: Array, ops: Ops) -> Array:
        """All streams start as the embedding: [rows, streams * embedding]."""
        return copies(x, self.streams, ops)

    def enter(
        self, x: Array, w: SimpleNamespace, part: str, layer: int, epsilon: float, ops: Ops
    ) -> tuple[Array, Any]:
        """A mixture of the streams, and the weights to write with."""
        fn, base, scale = (getattr(w, f"hc_{part}_{name}") for name in ("fn", "base", "scale"))
        rows, n, e = len(x), self.streams, self.epsilon
        logits = ops.matmul(fn, ops.rms_norm(x, None, epsilon))
        pre = partial(hc.read_weights_ref, n=n, epsilon=e)
        magnitude, extra = (2.0, 0.0) if self.rounds else (self.magnitude, e)
        post = partial(hc.write_weights_ref, n=n, magnitude=magnitude, epsilon=extra)
        link = [ops.twin(post, (rows, n), logits, scale, base)]
        if self.rounds:
            comb = partial(hc.comb_ref, n=n, epsilon=e, rounds=self.rounds)
            link.append(ops.twin(comb, (rows, n, n), logits, scale, base))
        weights = ops.twin(pre, (rows, n), logits, scale, base)
        return ops.twin(hc.read_ref, (rows, x.shape[1] // n), x, weights), link

    def leave(self, x: Array, y: Array, link: Any, ops: Ops) -> Array:
        """Every stream takes its share of y and of the others."""
        return ops.twin(hc.write_ref, x.shape, x, y, *link)

    def end(self, x: Array, w: SimpleNamespace, epsilon: float, ops: Ops) -> Array:
        """A mixture of the streams, or their mean."""
        rows, n = len(x), self.streams
        shape = (rows, x.shape[1] // n)
        if not self.headed:
            return ops.twin(lambda x: x.reshape(rows, n, -1).sum(axis=1) / n, shape, x)
        logits = ops.matmul(w.output_hc_fn, ops.rms_norm(x, None, epsilon))
        pre = partial(hc.read_weights_ref, n=n, epsilon=self.epsilon)
        weights = ops.twin(pre, (rows, n), logits, w.output_hc_scale, w.output_hc_base)
        return ops.twin(hc.read_ref, shape, x, weights)


@dataclass(frozen=True)
class LowRankConnections:
    """Streams normed one by one, read through a gate of low rank, written with a weight each."""

    streams: int
    rank: int

    @staticmethod
    def read(keys: Keys) -> LowRankConnections:
        """From `hyper_connection.*`."""
        streams = keys.integer("hyper_connection.count", 2, 64)
        return LowRankConnections(streams, keys.integer("hyper_connection.low_rank", 1, 1 << 16))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""
        table = []
        for part in PARTS:
            table += self._mixer(f"hc_{part}", embedding)
            wide = self.streams * embedding
            table.append(Wanted(f"hc_{part}_inject.weight", (self.streams, wide)))
        return table

    def model_tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of the model."""
        return self._mixer("output_hc", embedding)

    def _mixer(self, name: str, embedding: int) -> list[Wanted]:
        wide = self.streams * embedding
        return [
            Wanted(f"{name}_norm.weight", (self.streams, embedding), plain=True),
            Wanted(f"{name}_down.weight", (self.rank, wide)),
            Wanted(f"{name}_up.weight", (wide, self.rank)),
        ]

    def begin(self, x: Array, ops: Ops) -> Array:
        """All streams start as the embedding: [rows, streams * embedding]."""
        return copies(x, self.streams, ops)

    def enter(
        self, x: Array, w: SimpleNamespace, part: str, layer: int, epsilon: float, ops: Ops
    ) -> tuple[Array, Any]:
        """The gated mean of the normed streams, and the weights to write with."""
        h, normed = self._mixed(x, w, f"hc_{part}", epsilon, ops)
        inject = ops.matmul(getattr(w, f"hc_{part}_inject"), normed)
        return h, inject

    def _mixed(
        self, x: Array, w: SimpleNamespace, name: str, epsilon: float, ops: Ops
    ) -> tuple[Array, Array]:
        norm, down, up = (getattr(w, f"{name}_{part}") for part in ("norm", "down", "up"))
        rows, n = len(x), self.streams
        normed = ops.rms_norm(x.reshape(rows, n, -1), None, epsilon).reshape(x.shape)
        normed = ops.multiply(normed, norm.reshape(-1))
        low = ops.activate("silu", ops.scale(ops.matmul(down, normed), 1 / n))
        gate = ops.matmul(up, low)
        mean = partial(hc.gated_mean_ref, n=n)
        return ops.twin(mean, (rows, x.shape[1] // n), normed, gate), normed

    def leave(self, x: Array, y: Array, link: Any, ops: Ops) -> Array:
        """Every stream takes 2 sigmoid(weight / streams) of y."""
        n = self.streams

        def write(x: Array, y: Array, inject: Array) -> Array:
            return hc.write_ref(x, y, 2 * hc.sigmoid_ref(inject / n))

        return ops.twin(write, x.shape, x, y, link)

    def end(self, x: Array, w: SimpleNamespace, epsilon: float, ops: Ops) -> Array:
        """Read as a block does."""
        return self._mixed(x, w, "output_hc", epsilon, ops)[0]


@dataclass(frozen=True)
class Checkpoints:
    """The row is set aside every `period` layers and starts anew; blocks read a mix of all."""

    period: int

    @staticmethod
    def read(keys: Keys) -> Checkpoints:
        """From `attn_res.block_size`."""
        return Checkpoints(keys.integer("attn_res.block_size", 1, 1 << 16))

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of a layer, without `blk.N.`."""
        return [Wanted(f"{part}_res_score.weight", (embedding,)) for part in PARTS]

    def model_tensors(self, embedding: int) -> list[Wanted]:
        """What it reads of the model."""
        return [Wanted("output_res_score.weight", (embedding,))]

    def begin(self, x: Array, ops: Ops) -> tuple[Array, list[Array]]:
        """The embedding; nothing is set aside yet."""
        return x, []

    def enter(
        self,
        x: tuple[Array, list[Array]],
        w: SimpleNamespace,
        part: str,
        layer: int,
        epsilon: float,
        ops: Ops,
    ) -> tuple[Array, Any]:
        """A mixture of the row and those set aside; True if the row is set aside now."""
        row, kept = x
        h = self._mixed(row, kept, getattr(w, f"{part}_res_score"), epsilon, ops)
        return h, part == "attn" and layer % self.period == 0

    @staticmethod
    def _mixed(row: Array, kept: list[Array], score: Array, epsilon: float, ops: Ops) -> Array:
        if not kept:
            return row

        def mix(row: Array, score: Array, *kept: Array) -> Array:
            return hc.checkpoint_mix_ref(np.stack(kept, axis=1), row, score, epsilon)

        return ops.twin(mix, row.shape, row, score, *kept)

    def leave(
        self, x: tuple[Array, list[Array]], y: Array, link: Any, ops: Ops
    ) -> tuple[Array, list[Array]]:
        """y alone where the row was set aside."""
        row, kept = x
        return (y, [*kept, row]) if link else (ops.add(row, y), kept)

    def end(
        self, x: tuple[Array, list[Array]], w: SimpleNamespace, epsilon: float, ops: Ops
    ) -> Array:
        """A mixture, as a block reads it."""
        return self._mixed(*x, w.output_res_score, epsilon, ops)


def copies(x: Array, n: int, ops: Ops) -> Array:
    """x [rows, dim] n times side by side."""
    return ops.twin(lambda x: np.tile(x, (1, n)), (len(x), n * x.shape[1]), x)
