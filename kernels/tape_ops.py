"""Ops recorded on a tape: memory from a pool, kernels cut in parts for the thread team."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.gguf import TensorInfo
from . import elementwise
from .activation_words import WRITERS
from .activations import SHARE
from .arena import Arena
from .attention import Shape, emit_attention
from .decay import decay
from .elementwise import ACTIVATIONS, GATES
from .expert_groups import Groups, emit_grouping, emit_groups
from .experts import Experts, add_chosen, combine, emit_experts, spread
from .kv_pages import Region, emit_store
from .layer_norm import layer_norm
from .matmul import Tiles, emit_matmul, rows_at_once
from .ops import Angles, Spans, embedding_rows
from .pool import Pool
from .quants.byte_order import little_endian
from .quants.table import dequantize
from .records import RECORD, Records, records_of
from .recurrence import Recurrence, State, run_formula
from .residence import Residence
from .rms_norm import rms_norm
from .rope import rope
from .router import Routing, router, scratch_room
from .simd import at
from .sparse_attention import Choice, Indexer, choose, index_region, sparse_attention_ref
from .tape import Kernel, Tape
from .team import team
from .tiles.kept import Kept
from .tiles.load import load_experts, load_tiles

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
SMALL = 16384  # numbers that one thread handles sooner than two agree on


class TapeOps:
    """int8 or float32 mode: `record()` starts a tape, operations add to it."""

    number = np.float32

    def __init__(
        self, integer: bool, threads: int, kept: Kept | None = None, model_bytes: int = 0
    ) -> None:
        """`kept`: tiles that need not be packed; `model_bytes`: what a step may read of weights."""
        self.integer, self.threads = integer, threads
        self._kept, self._residence = kept, Residence(model_bytes)
        self._arena = Arena()
        self.packed: Kept = {}  # all matrices that were loaded
        self.pool = Pool()
        self.tape = Tape()
        self._prepared: tuple[Any, dict[Any, Any]] = (None, {})
        self._groups: Groups | None = None

    def record(self) -> Tape:
        """Start a new tape and return it."""
        self.tape, self._prepared, self._groups = Tape(), (None, {}), None
        return self.tape

    def run(self, tape: Tape, threads: int | None = None) -> None:
        """Run a tape on at most `threads` of the threads; the caller holds the team's lock."""
        tape.run(team(), min(threads or self.threads, self.threads))

    def matrix(self, tensor: TensorInfo) -> Tiles | Experts:
        loaded: Tiles | Experts
        if len(tensor.shape) == 3:
            loaded = load_experts(tensor, self.threads, self._kept, self._arena.take)
            tiles = loaded.tiles
        else:
            tiles = load_tiles(tensor, self.threads, self._kept, self._arena.take)
            loaded = tiles = replace(tiles, stays=self._residence.stays(tiles.data.nbytes))
        self.packed[tensor.name] = tiles.format.name, tiles.data
        return loaded

    def vector(self, tensor: TensorInfo) -> F32:
        return dequantize(little_endian(tensor), tensor.type, tensor.shape)

    def embed(self, tensor: TensorInfo, tokens: I64) -> F32:
        out = self.pool.take((len(tokens), tensor.shape[1]))
        to = at(out.ctypes.data, np.float32, out.size).reshape(out.shape)

        def look_up() -> None:
            to[...] = embedding_rows(tensor, tokens)

        self.tape.host(look_up)
        return out

    def matmul(self, weight: Tiles, x: F32, fine: bool = False) -> F32:
        records = records_of(self.integer and weight.format.integer, fine)
        record = self._prepare(x, records, weight.blocks, rows_at_once(len(x)))
        return emit_matmul(self.tape, self.pool, weight, record, len(x), records, self.threads)

    def _prepare(self, x: F32, records: Records, blocks: int, at_once: int) -> Any:
        """The activation records of x; the same x is prepared once for all its products."""
        if self._prepared[0] is not x:
            self._prepared = (x, {})
        key = (records, blocks, at_once)
        if key not in self._prepared[1]:
            self._prepared[1][key] = self._records(x.reshape(-1, x.shape[-1]), *key)
        return self._prepared[1][key]

    def _records(self, x: F32, records: Records, blocks: int, at_once: int) -> Any:
        groups = -(-len(x) // at_once)
        record = self.pool.take((groups, blocks, RECORD * at_once), np.uint8)
        values = (x, record, len(x), x.shape[1], x.strides[0], at_once, groups, blocks, SHARE)
        parts = self._parts(x.size, groups * blocks)
        self.tape.emit(WRITERS[records], parts, values, [x], [record])
        return record

    def rms_norm(self, x: F32, weight: F32 | None, eps: float) -> F32:
        rows, stride = _rows(x)
        out = self.pool.take(x.shape)
        values = (x, 0 if weight is None else weight, out, rows, x.shape[-1], stride, eps)
        self.tape.emit(rms_norm, self._parts(x.size, rows), values, [x], [out])
        return out

    def layer_norm(self, x: F32, weight: F32 | None, bias: F32 | None, eps: float) -> F32:
        rows, stride = _rows(x)
        out = self.pool.take(x.shape)
        given = [0 if vector is None else vector for vector in (weight, bias)]
        values = (x, *given, out, rows, x.shape[-1], stride, eps)
        self.tape.emit(layer_norm, self._parts(x.size, rows), values, [x], [out])
        return out

    def experts(self, weight: Experts, x: F32, ids: F32) -> F32:
        records = records_of(self.integer and weight.tiles.format.integer)
        self.tape.keep(ids)
        record = self._prepare(x, records, weight.tiles.blocks, 1)
        if len(x) == 1:
            share = ids.size // len(record)
            return emit_experts(
                self.tape, self.pool, weight, record, ids, share, records, self.threads
            )
        by = self._groups
        if by is None or by.ids is not ids or by.experts != weight.count:
            by = self._groups = emit_grouping(self.tape, self.pool, ids, weight.count)
        return emit_groups(self.tape, self.pool, weight, record, by, records, self.threads)

    def add_chosen(self, x: F32, table: F32, ids: F32) -> F32:
        out = self.pool.take(x.shape)
        values = (x, ids, table, out, ids.size, x.shape[-1])
        self.tape.emit(add_chosen, self._parts(x.size, ids.size), values, [x, ids], [out])
        return out

    def combine(self, x: F32, weights: F32 | None) -> F32:
        out = self.pool.take((len(x), x.shape[2]))
        reads = [x] if weights is None else [x, weights]
        values = (x, 0 if weights is None else weights, out, *x.shape)
        self.tape.emit(combine, self._parts(x.size, len(x)), values, reads, [out])
        return out

    def spread(self, x: F32, weights: F32 | None, slots: int) -> F32:
        rows, stride = _rows(x)
        out = self.pool.take((rows, slots, x.shape[1]))
        reads = [x] if weights is None else [x, weights]
        given = 0 if weights is None else weights
        values = (x, given, out, rows * slots, slots, x.shape[1], stride)
        self.tape.emit(spread, self._parts(out.size, rows * slots), values, reads, [out])
        return out

    def route(
        self, rule: Routing, logits: F32, bias: F32 | None, factors: F32 | None
    ) -> tuple[F32, F32]:
        (rows, stride), count = _rows(logits), logits.shape[1]
        ids, weights = self.pool.take((rows, rule.used)), self.pool.take((rows, rule.used))
        room = scratch_room(count)
        scratch = self.pool.take((self.threads, 3 * room))
        given = [0 if vector is None else vector for vector in (bias, factors)]
        values = (
            logits, *given, ids, weights, scratch, rows, count, stride, room, rule.used,
            rule.groups, rule.groups_used, int(rule.normed), rule.scale,
        )  # fmt: skip
        parts = self._parts(logits.size * rule.used, rows)
        self.tape.emit(router(rule.scores), parts, values, [logits], [ids, weights, scratch])
        return ids, weights

    def rope(self, x: F32, angles: Angles) -> F32:
        rows, heads, dim = x.shape
        out = self.pool.take(x.shape)
        n = angles.cos.shape[-1]
        stride = x.strides[0]
        values = (x, angles.cos, angles.sin, out, rows, heads, dim, stride, n, int(angles.halves))
        self.tape.emit(rope, self._parts(x.size, rows * heads), values, [x], [out])
        return out

    def attend(
        self,
        qkv: tuple[F32, F32, F32],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        sinks: F32 | None = None,
        slopes: F32 | None = None,
    ) -> F32:
        given = [0 if numbers is None else numbers for numbers in (sinks, slopes)]
        return emit_attention(
            self.tape, self.pool, qkv, positions, spans, region, shape, self.threads, *given
        )

    def store(self, key: F32, value: F32, positions: I64, spans: Spans, region: Region) -> None:
        emit_store(self.tape, key, value, positions, spans.rows, region)

    def look(self, q: F32, spans: Spans, region: Region, shape: Shape) -> F32:
        nothing = np.empty((0, region.kv_heads, region.key_dim), np.float32)
        qkv, positions = (q, nothing, nothing), np.empty(0, np.int64)
        return emit_attention(
            self.tape, self.pool, qkv, positions, spans, region, shape, self.threads
        )

    def choose(self, indexer: Indexer, positions: I64, spans: Spans, region: Region) -> Choice:
        choice, index = Choice(), index_region(region)
        self.tape.host(lambda: choose(indexer, positions, spans, index, choice))
        return choice

    def attend_chosen(
        self,
        qkv: tuple[F32, F32, F32],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        choice: Choice,
        sinks: F32 | None = None,
    ) -> F32:
        q, key, value = qkv
        emit_store(self.tape, key, value, positions, spans.rows, region)

        def attended(x: Any) -> Any:
            return sparse_attention_ref(x, spans, region, shape.scale, choice, sinks)

        return self.twin(attended, (len(q), shape.heads * region.value_dim), q)

    def add(self, x: F32, y: F32) -> F32:
        return self._elementwise(elementwise.add, x, y)

    def multiply(self, x: F32, y: F32) -> F32:
        return self._elementwise(elementwise.multiply, x, y)

    def scale(self, x: F32, number: float) -> F32:
        return self._elementwise(elementwise.scale, x, x, number)

    def soft_cap(self, x: F32, cap: float) -> F32:
        return self._elementwise(elementwise.soft_cap, x, x, cap)

    def gate(self, kind: str, x: F32, y: F32, limit: float = 0.0) -> F32:
        return self._elementwise(GATES[kind][1], x, y, limit)

    def activate(self, kind: str, x: F32) -> F32:
        return self._elementwise(ACTIVATIONS[kind][1], x, x)

    def clip(self, x: F32, limit: float) -> F32:
        return self._elementwise(elementwise.clip, x, x, limit)

    def join(self, x: F32, y: F32) -> F32:
        out = self.pool.take((len(x), x.shape[1] + y.shape[1]))
        values = (x, y, out, len(x), x.shape[1], y.shape[1], x.strides[0], y.strides[0])
        self.tape.emit(elementwise.join, self._parts(out.size, len(x)), values, [x, y], [out])
        return out

    def columns(self, x: F32, start: int, stop: int) -> F32:
        part = x[:, start:stop]
        return self._elementwise(elementwise.scale, part, part, 1.0)

    def _elementwise(self, kernel: Kernel, x: F32, y: F32, number: float = 0.0) -> F32:
        rows, stride = _rows(x)
        stride_y = 0 if y.ndim < x.ndim else _rows(y)[1]
        if not stride_y:
            self.tape.keep(y)
        out = self.pool.take(x.shape)
        values = (x, y, out, rows, x.shape[-1], stride, stride_y, number)
        self.tape.emit(kernel, self._parts(x.size, rows), values, [x, y], [out])
        return out

    def take(self, x: F32, rows: I64) -> F32:
        out = self.pool.take((len(rows), x.shape[1]))
        source, to = x.ctypes.data, out.ctypes.data
        stride, (count, dim) = x.strides[0], out.shape

        def copy() -> None:
            for i, row in enumerate(rows):
                at(to + 4 * dim * i, np.float32, dim)[...] = at(
                    source + stride * int(row), np.float32, dim
                )

        if count:
            self.tape.host(copy)
        return out

    def decay(self, x: F32, dt: F32, a: F32, bound: float, sign: float) -> F32:
        rows, heads, n = len(x), a.size, x.shape[1] // a.size
        out = self.pool.take((rows, heads, n))
        values = (x, dt, a, out, rows, heads, n, x.strides[0], bound, sign)
        self.tape.emit(decay, self._parts(x.size, rows * heads), values, [x], [out])
        return out

    def recur(
        self,
        recurrence: Recurrence,
        shape: Sequence[int],
        state: State,
        inputs: Sequence[F32],
        weights: Sequence[Any],
    ) -> F32:
        out = self.pool.take(tuple(shape))
        if recurrence.emit is not None:
            recurrence.emit(self.tape, self.threads, state, inputs, weights, out)
            return out

        def compute() -> None:
            run_formula(recurrence.formula, np.float32, state, inputs, weights, out)

        self.tape.host(compute)
        return out

    def twin(self, function: Callable[..., Any], shape: Sequence[int], *inputs: F32) -> F32:
        out = self.pool.take(tuple(shape))

        def compute() -> None:
            out[...] = np.asarray(function(*[x.astype(np.float64) for x in inputs])).reshape(shape)

        self.tape.host(compute)
        return out

    def _parts(self, numbers: int, most: int) -> int:
        return 1 if numbers <= SMALL else min(most, 4 * self.threads)


def _rows(x: F32) -> tuple[int, int]:
    """How many rows of the last axis, and the bytes between them. Raises ValueError if uneven."""
    rows = x.size // x.shape[-1]
    if x.ndim < 2 or x.flags.c_contiguous:
        return rows, 4 * x.shape[-1]
    if x.ndim == 2 and x.strides[1] == 4:
        return rows, x.strides[0]
    raise ValueError(f"array of shape {x.shape}, strides {x.strides}: expected even rows")
