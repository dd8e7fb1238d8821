"""Routed products: out[row, slot] = W[id[row, slot]] x[row, slot], a weight of its own per pair.

The experts' weights are packed in tiles one after the other. A pair is computed as a single row is
by `matmul`, so its result is the same whatever the other rows and their experts are.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .activations import RECORD, SHARE, arrange, quantise
from .matmul import (
    AHEAD,
    CHUNK,
    Tiles,
    direct,
    few_parts,
    float_parts,
    integer_parts,
    panel_block_bytes,
    store_tile,
)
from .pool import Pool
from .simd import (
    fma,
    load_f32,
    load_first,
    load_i64,
    splat,
    store_first,
    store_i64,
    unrolled,
    void,
    zeros,
)
from .tape import Kernel, Tape, kernel
from .tiles.codes import TileFormat
from .tiles.lanes import prefetch_bytes
from .tiles.pack import tile_count

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Experts:
    """Weights [count, rows, columns]; `tiles` holds them all, `tiles.rows` is one expert's."""

    tiles: Tiles
    count: int


def experts_ref(weight: F32, x: F64, ids: F64) -> F64:
    """weight [count, n, k], x [rows, slots, k], ids [rows, slots] -> [rows, slots, n]."""
    out = np.empty((*ids.shape, weight.shape[1]))
    step = max(1, CHUNK // max(1, weight.shape[2]))
    for row, slot in np.ndindex(*ids.shape):
        chosen = weight[int(ids[row, slot])]
        for start in range(0, len(chosen), step):
            some = chosen[start : start + step].astype(np.float64)
            np.einsum("nk,k->n", some, x[row, slot], out=out[row, slot, start : start + step])
    return out


@functools.cache
def routed(form: TileFormat, integer: bool) -> Kernel:
    """The kernel for pairs of row and slot; x is one record per pair, or per `share` pairs."""
    add, unit_bytes, per_unit = direct(form, integer), form.unit_bytes, form.columns // 32
    ahead = -(-unit_bytes // per_unit)

    def body(part, parts, thread, tiles, x, ids, out, pairs, share, n, units, tile_count):
        blocks = units * per_unit
        jobs = pairs * tile_count
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            pair, tile = job // tile_count, job % tile_count
            expert = int(load_f32(ids + 4 * pair))
            unit = tiles + (expert * tile_count + tile) * units * unit_bytes
            record = x + pair // share * blocks * RECORD
            totals = zeros(1)
            for _ in range(units):
                for block in range(per_unit):
                    prefetch_bytes(unit + AHEAD + block * ahead, ahead)
                    totals = add(totals, unit, block, record)
                    record += RECORD
                unit += unit_bytes
            store_tile(totals, out + 4 * pair * n + 64 * tile, 4 * n, n - 16 * tile)

    return Kernel(f"experts_{'int8' if integer else 'float'}_{form.name}", body)


# --- many rows: pairs of one expert side by side -------------------------------------------------


@kernel("group_pairs")
def group_pairs(part, parts, thread, ids, firsts, counts, slots, pairs, experts, groups):
    """Sort pairs by expert in groups of 8: firsts[e] is expert e's first group, slots its pairs.

    What fills a group up is number `pairs`, one more than there are.
    """
    for e in range(experts):
        store_i64(counts + 8 * e, 0)
    for pair in range(pairs):
        at = counts + 8 * int(load_f32(ids + 4 * pair))
        store_i64(at, load_i64(at) + 1)
    group = 0
    for e in range(experts):
        store_i64(firsts + 8 * e, group)
        group += (load_i64(counts + 8 * e) + 7) // 8
        store_i64(counts + 8 * e, 0)
    store_i64(firsts + 8 * experts, group)
    for i in range(8 * groups):
        store_i64(slots + 8 * i, pairs)
    for pair in range(pairs):
        e = int(load_f32(ids + 4 * pair))
        taken = load_i64(counts + 8 * e)
        store_i64(slots + 8 * (8 * load_i64(firsts + 8 * e) + taken), pair)
        store_i64(counts + 8 * e, taken + 1)


@kernel("gather_rows")
def gather_rows(part, parts, thread, x, slots, out, rows, dim, pairs, share, stride):
    """out[i] = x[slots[i] / share], zeros beyond the pairs; rows of x lie `stride` bytes apart."""
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        pair, to = load_i64(slots + 8 * row), out + 4 * row * dim
        source = x + pair // share * stride
        for i in range(0, dim, 16):
            count = min(16, dim - i)
            value = load_first(source + 4 * i, count) if pair < pairs else splat(0.0)
            store_first(to + 4 * i, value, count)


@unrolled(lambda totals, slots, out, stride, columns: void)
def scatter(totals, slots, out, stride, columns):
    """Write each total to its pair's row."""
    for i, total in enumerate(totals):
        store_first(out + load_i64(slots + 8 * i) * stride, total, columns)


@functools.cache
def routed_groups(form: TileFormat, integer: bool) -> Kernel:
    """The kernel for groups of 8 pairs of an expert; a tile is unpacked once for all of them."""
    store, add, block_bytes = (integer_parts if integer else float_parts)(form)
    unit_bytes, per_unit = form.unit_bytes, form.columns // 32

    @inline
    def unpack(tile, units, panel):
        for unit in range(units):
            for block in range(per_unit):
                store(tile + unit * unit_bytes, block, panel)
                panel += block_bytes

    @inline
    def pass_over(panel, record, blocks):
        totals = zeros(8)
        for _ in range(blocks):
            totals = add(totals, panel, record)
            panel += block_bytes
            record += RECORD * 8
        return totals

    def body(
        part, parts, thread, tiles, x, firsts, slots, out, experts, n, units, tile_count, scratch,
        stride,
    ):  # fmt: skip
        blocks = units * per_unit
        panel = scratch + thread * stride
        jobs = experts * tile_count
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            expert, tile = job // tile_count, job % tile_count
            first, end = load_i64(firsts + 8 * expert), load_i64(firsts + 8 * expert + 8)
            if first < end:
                unpack(tiles + job * units * unit_bytes, units, panel)
            for group in range(first, end):
                totals = pass_over(panel, x + group * blocks * RECORD * 8, blocks)
                left = min(16, n - 16 * tile)
                scatter(totals, slots + 64 * group, out + 64 * tile, 4 * n, left)

    return Kernel(f"experts_{'int8' if integer else 'float'}_{form.name}_groups", body)


def emit_groups(
    tape: Tape, pool: Pool, weight: Experts, x: F32, ids: F32, integer: bool, threads: int
) -> F32:
    """Record the products of x [pairs or rows, k], weights unpacked once: [rows, slots, n]."""
    tiles, pairs, columns = weight.tiles, ids.size, x.shape[1]
    groups = pairs // 8 + min(weight.count, pairs)
    firsts, counts = (pool.take((weight.count + 1,), np.int64) for _ in range(2))
    slots = pool.take((8 * groups,), np.int64)
    values: list[Any] = [ids, firsts, counts, slots, pairs, weight.count, groups]
    tape.emit(group_pairs, 1, values, [ids], [firsts, counts, slots])
    gathered = pool.take((8 * groups, columns))
    values = [x, slots, gathered, 8 * groups, columns, pairs, pairs // len(x), x.strides[0]]
    tape.emit(gather_rows, 4 * threads, values, [x, slots], [gathered])
    record = pool.take((groups, tiles.blocks, 8 * RECORD), np.uint8)
    values = [
        gathered, record, 8 * groups, columns, 4 * columns, 8, groups, tiles.blocks, SHARE,
    ]  # fmt: skip
    prepare = quantise if integer else arrange
    tape.emit(prepare, 4 * threads, values, [gathered], [record])
    # One row more than there are pairs, for what fills groups up.
    out = pool.take((pairs + 1, tiles.rows))
    size = panel_block_bytes(tiles.format, integer) * tiles.blocks
    scratch = pool.take((threads, -(-size // 64) * 64), np.uint8)
    count = tile_count(tiles.rows)
    values = [
        tiles.data, record, firsts, slots, out, weight.count, tiles.rows, tiles.units, count,
        scratch, scratch.strides[0],
    ]  # fmt: skip
    parts = min(weight.count * count, 16 * threads)
    reads = [record, firsts, slots]
    tape.emit(routed_groups(tiles.format, integer), parts, values, reads, [out, scratch])
    return out[:pairs].reshape(*ids.shape, tiles.rows)


# --- few rows ------------------------------------------------------------------------------------


def emit_experts(
    tape: Tape,
    pool: Pool,
    weight: Experts,
    record: Any,
    ids: F32,
    share: int,
    integer: bool,
    threads: int,
) -> F32:
    """Record products of prepared activations, one record per `share` pairs: [rows, slots, n]."""
    tiles = weight.tiles
    out = pool.take((*ids.shape, tiles.rows))
    count = tile_count(tiles.rows)
    values = [tiles.data, record, ids, out, ids.size, share, tiles.rows, tiles.units, count]
    parts = few_parts(ids.size * count, threads)
    tape.emit(routed(tiles.format, integer), parts, values, [record, ids], [out])
    return out


# --- sums and biases -----------------------------------------------------------------------------


def combine_ref(y: F64, weights: F64 | None) -> F64:
    """Sum over slots of y [rows, slots, n] times weights [rows, slots] or 1: [rows, n]."""
    out: F64 = y[:, 0] if weights is None else y[:, 0] * weights[:, :1]
    for slot in range(1, y.shape[1]):
        out = out + (y[:, slot] if weights is None else y[:, slot] * weights[:, slot : slot + 1])
    return out


@kernel("combine")
def combine(part, parts, thread, y, weights, out, rows, slots, n):
    """y [rows, slots, n] -> out [rows, n]; weights [rows, slots] or 0."""
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        for i in range(0, n, 16):
            count = min(16, n - i)
            total = splat(0.0)
            for slot in range(slots):
                pair = row * slots + slot
                value = load_first(y + 4 * (pair * n + i), count)
                weight = load_f32(weights + 4 * pair) if weights else np.float32(1)
                total = fma(value, splat(weight), total)
            store_first(out + 4 * (row * n + i), total, count)


@kernel("add_chosen")
def add_chosen(part, parts, thread, y, ids, bias, out, pairs, n):
    """out[pair] = y[pair] + bias[id[pair]]; y [pairs, n], bias [count, n]."""
    for pair in range(pairs * part // parts, pairs * (part + 1) // parts):
        row = bias + 4 * n * int(load_f32(ids + 4 * pair))
        for i in range(0, n, 16):
            count = min(16, n - i)
            value = load_first(y + 4 * (pair * n + i), count) + load_first(row + 4 * i, count)
            store_first(out + 4 * (pair * n + i), value, count)
