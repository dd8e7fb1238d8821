"""Routed products: out[row, slot] = W[id[row, slot]] x[row, slot], a weight of its own per pair.

The experts' weights are packed in tiles one after the other. A pair is computed as a single row is
by `matmul`, so its result is the same whatever the other rows and their experts are. Here are the
pairs of a single row, whose experts differ; `expert_groups.py` is for several rows.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .few_rows import direct, few_parts, store_tile
from .matmul import CHUNK, Tiles
from .pool import Pool
from .records import RECORD, Records
from .requests import FIRST, Requests
from .simd import fma, load_f32, load_first, splat, store_first, zeros
from .tape import Kernel, Tape, kernel
from .tiles.codes import TileFormat
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
def routed(form: TileFormat, records: Records) -> Kernel:
    """The kernel for pairs of row and slot; x is one record per pair, or per `share` pairs."""
    unit_bytes, per_unit, step = form.unit_bytes, form.columns // 32, records.step(1)
    requests = Requests.of(form, 1, stays=False)
    add, size = direct(form, records, 1, requests), requests.size
    ahead, again, ask = requests.far, requests.near, requests.ask

    def body(part, parts, thread, tiles, x, ids, out, pairs, share, n, units, tile_count):
        blocks, matrix = units * per_unit, tile_count * units * unit_bytes
        jobs = pairs * tile_count
        first, last = jobs * part // parts, jobs * (part + 1) // parts
        pair, tile = first // tile_count, first % tile_count
        begin = tiles + int(load_f32(ids + 4 * pair)) * matrix
        unit = begin + tile * units * unit_bytes
        for line in range(0, FIRST, 64):
            ask(unit + line)
        for _ in range(last - first):
            # Beyond this expert's end lies the next pair's expert, as far as requests go.
            end = begin + matrix
            after = tiles + int(load_f32(ids + 4 * min(pair + 1, pairs - 1))) * matrix
            record = x + pair // share * blocks * RECORD
            totals = zeros(1)
            for _ in range(units):
                far, near = unit + ahead, unit + again
                far += after - end if far >= end else 0
                near += after - end if near >= end else 0
                for block in range(per_unit):
                    asks = ((far, near),)
                    totals = add(totals, ((unit,), block), record, blocks * step, asks)
                    record += step
                    far += size
                    near += size
                unit += unit_bytes
            store_tile(totals, out + 4 * pair * n + 64 * tile, 4 * n, n - 16 * tile)
            tile += 1
            if tile == tile_count:
                pair, tile, begin, unit = pair + 1, 0, after, after

    return Kernel(f"experts_{records.value}_{form.name}", body)


def emit_experts(
    tape: Tape,
    pool: Pool,
    weight: Experts,
    record: Any,
    ids: F32,
    share: int,
    records: Records,
    threads: int,
) -> F32:
    """Record products of prepared activations, one record per `share` pairs: [rows, slots, n]."""
    tiles = weight.tiles
    out = pool.take((*ids.shape, tiles.rows))
    count = tile_count(tiles.rows)
    values = [tiles.data, record, ids, out, ids.size, share, tiles.rows, tiles.units, count]
    parts = few_parts(ids.size * count, threads)
    tape.emit(routed(tiles.format, records), parts, values, [record, ids], [out])
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


def spread_ref(x: F64, weights: F64 | None, slots: int) -> F64:
    """x [rows, n], once per slot, times weights [rows, slots] or 1: [rows, slots, n]."""
    out = np.repeat(x[:, None], slots, axis=1)
    return out if weights is None else out * weights[:, :, None]


@kernel("spread")
def spread(part, parts, thread, x, weights, out, pairs, slots, n, stride):
    """Rows of x, `stride` bytes apart -> out [rows, slots, n]; weights [rows, slots] or 0."""
    for pair in range(pairs * part // parts, pairs * (part + 1) // parts):
        row = x + pair // slots * stride
        weight = splat(load_f32(weights + 4 * pair) if weights else np.float32(1))
        for i in range(0, n, 16):
            count = min(16, n - i)
            store_first(out + 4 * (pair * n + i), load_first(row + 4 * i, count) * weight, count)


@kernel("add_chosen")
def add_chosen(part, parts, thread, y, ids, bias, out, pairs, n):
    """out[pair] = y[pair] + bias[id[pair]]; y [pairs, n], bias [count, n]."""
    for pair in range(pairs * part // parts, pairs * (part + 1) // parts):
        row = bias + 4 * n * int(load_f32(ids + 4 * pair))
        for i in range(0, n, 16):
            count = min(16, n - i)
            value = load_first(y + 4 * (pair * n + i), count) + load_first(row + 4 * i, count)
            store_first(out + 4 * (pair * n + i), value, count)
