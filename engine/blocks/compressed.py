"""Attention with compressed keys (DeepSeek-AI, V4, 2026): one key for all heads, also the value.

    q = heads of B norm(A h), each normed;   k = norm(C h);   their last numbers turn
    keys of the last `window` tokens, and a compressed row for every `ratio` tokens before
    out = U (each group of heads' outputs, turned back, times its own matrix)

Where a row stands for 4 tokens, blocks overlap and an indexer with compressed rows of its own
chooses among them; where it stands for more, all are used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from ...kernels import compressed_attention as ca
from ...kernels.compress import compressor
from ...kernels.kv_pages import Region
from ...kernels.rope import RopeTable
from ..keys import Keys
from ..rope_spec import RopeSpec, rope_table
from ..tables import Wanted
from .layer import Array, Layer
from .mixer import Mixer

F64 = NDArray[np.float64]
OVERLAPPING = 4
MOST = 1 << 20


@dataclass(frozen=True)
class Compressed(Mixer):
    """Sizes of one layer; `ratio` 0: no compressed rows. `index_*`: 0 without an indexer."""

    heads: int
    dim: int
    query_rank: int
    groups: int
    group_rank: int
    window: int
    ratio: int
    rope_base: float
    index_heads: int = 0
    index_dim: int = 0
    top: int = 0

    @staticmethod
    def read(keys: Keys, layer: int) -> Compressed:
        """From `attention.*`."""
        count = keys.integer("block_count", 1, 1 << 11)
        ratio = keys.per_layer("attention.compress_ratios", count, None, 1 << 16)[layer]
        heads = keys.integer("attention.head_count", 1, 1 << 14)
        spec = Compressed(
            heads=heads,
            dim=keys.integer("attention.key_length", 1, 1 << 14),
            query_rank=keys.integer("attention.q_lora_rank", 1, MOST),
            groups=keys.divisor("attention.output_group_count", heads),
            group_rank=keys.integer("attention.output_lora_rank", 1, MOST),
            window=keys.integer("attention.sliding_window", 1, 1 << 40),
            ratio=ratio,
            rope_base=keys.number("attention.compress_rope_freq_base", positive=True),
        )
        return spec._with_indexer(keys) if ratio == OVERLAPPING else spec

    def _with_indexer(self, keys: Keys) -> Compressed:
        return replace(
            self,
            index_heads=keys.integer("attention.indexer.head_count", 1, 1 << 14),
            index_dim=keys.integer("attention.indexer.key_length", self.dim, 1 << 14),
            top=keys.integer("attention.indexer.top_k", 1, 1 << 40),
        )

    @property
    def halves(self) -> int:
        """How many halves a token's compressor rows have."""
        return 2 if self.ratio == OVERLAPPING else 1

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        inner = self.heads * self.dim
        return [
            Wanted("attn_q_a.weight", (self.query_rank, embedding)),
            Wanted("attn_q_a_norm.weight", (self.query_rank,)),
            Wanted("attn_q_b.weight", (inner, self.query_rank)),
            Wanted("attn_kv.weight", (self.dim, embedding)),
            Wanted("attn_kv_a_norm.weight", (self.dim,)),
            Wanted("attn_sinks.weight", (self.heads,)),
            Wanted("attn_output_a.weight", (self.groups, self.group_rank, inner // self.groups)),
            Wanted("attn_output_b.weight", (embedding, self.groups * self.group_rank)),
            *(self._compressor("attn", self.dim, embedding) if self.ratio else ()),
            *(self._indexer(embedding) if self.top else ()),
        ]

    def _compressor(self, name: str, dim: int, embedding: int) -> list[Wanted]:
        width = self.halves * dim
        return [
            Wanted(f"{name}_compressor_kv.weight", (width, embedding)),
            Wanted(f"{name}_compressor_gate.weight", (width, embedding)),
            Wanted(f"{name}_compressor_ape.weight", (self.ratio, width), plain=True),
            Wanted(f"{name}_compressor_norm.weight", (dim,)),
        ]

    def _indexer(self, embedding: int) -> list[Wanted]:
        rows = self.index_heads * self.index_dim
        return [
            Wanted("indexer.proj.weight", (self.index_heads, embedding)),
            Wanted("indexer.attn_q_b.weight", (rows, self.query_rank)),
            *self._compressor("indexer", self.index_dim, embedding),
        ]

    def states(self) -> dict[str, tuple[int, ...]]:
        """The last tokens' compressor rows and scores."""
        window = self.halves * self.ratio
        dims = {"attn": self.dim if self.ratio else 0, "indexer": self.index_dim}
        return {name: (2, window, self.halves * dim) for name, dim in dims.items() if dim}

    def rows(self) -> list[int]:
        """Sizes of what is kept of every position: key, compressed row, index row."""
        return [dim for dim in (self.dim, self.dim if self.ratio else 0, self.index_dim) if dim]

    def rope(self, everywhere: RopeSpec) -> RopeSpec:
        """Layers with compressed rows turn by a base of their own, the others without scaling."""
        if self.ratio:
            return replace(everywhere, base=self.rope_base, magnitude=1.0)
        return replace(everywhere, divide=1.0, yarn=None, magnitude=1.0)

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        w, ops, rows = layer.w, layer.ops, len(h)
        ranked = layer.norm("attn_q_a_norm", ops.matmul(w.attn_q_a, h))
        q = ops.matmul(w.attn_q_b, ranked).reshape(rows, self.heads, self.dim)
        q = ops.rms_norm(q, None, layer.hparams.epsilon)
        own = layer.norm("attn_kv_a_norm", ops.matmul(w.attn_kv, h))
        made = [self._made(layer, "attn", h, self.dim)] if self.ratio else []
        chooser = self._chooser(layer, h, ranked) if self.top else []
        out = ops.twin(self._attend(layer), (rows, self.heads * self.dim), q, own, *made, *chooser)
        each = np.tile(np.arange(self.groups, dtype=ops.number), (rows, 1))
        out = ops.experts(w.attn_output_a, out.reshape(rows, self.groups, -1), each)
        return ops.matmul(w.attn_output_b, out.reshape(rows, -1))

    def _made(self, layer: Layer, name: str, h: Array, dim: int) -> Array:
        """Compressed rows, normed, at their blocks' last tokens; zeros at others: [rows, dim]."""
        w, ops, positions = layer.w, layer.ops, layer.step.positions
        kv = ops.matmul(getattr(w, f"{name}_compressor_kv"), h)
        score = ops.matmul(getattr(w, f"{name}_compressor_gate"), h)
        places = np.asarray(getattr(w, f"{name}_compressor_ape"), np.float64)
        placed = ops.twin(lambda x: x + places[positions % self.ratio], score.shape, score)
        inputs, shape = (kv, placed, positions[:, None]), (len(h), dim)
        row = ops.recur(compressor(self.ratio), shape, layer.states[name], inputs, ())
        return layer.norm(f"{name}_compressor_norm", row)

    def _chooser(self, layer: Layer, h: Array, ranked: Array) -> list[Array]:
        """The indexer's rows, queries and weights."""
        ops, size = layer.ops, self.index_heads * self.index_dim
        q = ops.matmul(layer.w.indexer_attn_q_b, ranked)
        weights = ops.scale(ops.matmul(layer.w.indexer_proj, h), 1 / size**0.5)
        q = q.reshape(len(h), self.index_heads, self.index_dim)
        return [self._made(layer, "indexer", h, self.index_dim), q, weights]

    def _attend(self, layer: Layer):  # type: ignore[no-untyped-def]
        """The host's part of a step: store rows, choose, attend, turn back."""
        region, positions = layer.region, layer.step.positions
        spans = layer.step.spans[layer.spec.window].rows
        sinks = np.asarray(layer.w.attn_sinks, np.float64)
        if layer.spec.rope is None:
            raise ValueError("rope: found none, expected the layer's angles")
        turned = partial(_turned, self.rope(layer.spec.rope))

        def attend(q: F64, own: F64, made: F64 | None = None, *chooser: F64) -> F64:
            tables = spans[:, 0]
            q, own = turned(q, positions), turned(own[:, None], positions)[:, 0]
            ca.store_rows(region, own, tables, positions)
            for rows, kept in zip((made, *chooser[:1]), _kept(region), strict=False):
                if rows is not None:
                    starts = np.maximum(positions - self.ratio + 1, 0)
                    ca.store_rows(kept, turned(rows[:, None], starts)[:, 0], tables, positions)
            index_q = turned(chooser[1], positions) if chooser else None
            out = np.empty_like(q)
            for row, (table, position) in enumerate(zip(tables, positions, strict=True)):
                index = None if index_q is None else (index_q[row], chooser[2][row])
                keys = self._keys(region, int(table), int(position), index)
                out[row] = ca.attend_ref(q[row], *keys, sinks, self.dim**-0.5)
            return turned(out, positions, back=True)

        return attend

    def _keys(
        self, region: Region, table: int, position: int, index: tuple[F64, F64] | None
    ) -> tuple[F64, F64]:
        """The window's keys and the compressed rows that a token at `position` sees."""
        own = ca.load_rows(region, table, max(0, position - self.window + 1), position)
        if not self.ratio:
            return own, own[:0]
        ends = slice(self.ratio - 1, None, self.ratio)
        kept = list(_kept(region))
        made = ca.load_rows(kept[0], table, 0, position)[ends]
        if index is not None:
            rows = ca.load_rows(kept[1], table, 0, position)[ends]
            made = made[ca.best_blocks(*index, rows, self.top)]
        return own, made


@cache
def _table(rope: RopeSpec) -> RopeTable:
    return rope_table(rope, {}, 1, np.float64)


def _turned(rope: RopeSpec, x: F64, positions: NDArray[np.int64], back: bool = False) -> F64:
    return ca.turn_last(x, _table(rope), positions, rope.dim, back)


def _kept(region: Region) -> list[Region]:
    """The regions of compressed rows and of index rows."""
    found = []
    while region.index is not None:
        region = region.index
        found.append(region)
    return found
