"""Attention: out = softmax(scale q K^T + bias) V over a cache of pages, each head group by itself.

The keys of a page are one segment: scores, their maximum m, p = exp(score - m), the sum l of p and p V are
computed within it; segments are merged in the order of positions,

    m' = max(m, ms),   l' = l exp(m - m') + ls exp(ms - m'),   acc' alike        (Milakov and Gimelshein, 2018)

so a row's result depends on its own keys alone. Rows x heads that share keys are served up to 8 at a time.
Few rows: segments are spread over threads and merged afterwards; many rows: one thread merges as it goes.
Both do the same arithmetic in the same order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .kv_pages import PAGE, STORED, Region, emit_store, keys_of, values_of
from .pool import Pool
from .simd import (
    div,
    exceeds,
    fma,
    iota,
    isplat,
    less,
    load_f16x16,
    load_f32,
    load_f32x16,
    load_i64,
    max_lanes,
    rank1,
    select,
    splat,
    store_f32,
    store_f32x16,
    store_first,
    store_i64,
    sum_lanes,
    to_f32,
    unrolled,
    vectors,
    vmax,
    void,
    zeros,
)
from .spans import Spans
from .tape import Kernel, Tape, kernel
from .vmath import exp, tanh

F64, I64 = NDArray[np.float64], NDArray[np.int64]
MINUS_INFINITY = np.float32(-np.inf)
FEW_ROWS = 8
HEADER = 16  # floats before a state's sums: m, l, unused


@dataclass(frozen=True)
class Shape:
    """What an attention layer's heads look like; `soft_cap` 0 means none."""

    heads: int
    scale: float
    soft_cap: float = 0.0


def attention_ref(
    q: F64,
    tables: list[I64],
    ranges: I64,
    region: Region,
    shape: Shape,
    sinks: F64 | None = None,
    slopes: F64 | None = None,
) -> F64:
    """q [rows, heads, key dim], ranges [rows, 2] (first and last key) -> [rows, heads, value dim]."""
    out = np.zeros((len(q), shape.heads, region.value_dim))
    group = shape.heads // region.kv_heads
    for row, (first, last) in enumerate(ranges):
        pages = range(first // PAGE, last // PAGE + 1)
        keep = slice(first - first // PAGE * PAGE, last + 1 - first // PAGE * PAGE)
        key = [keys_of(int(tables[row][p]), region).swapaxes(2, 3) for p in pages]
        key = np.concatenate([k.reshape(region.kv_heads, PAGE, -1) for k in key], axis=1)[:, keep]
        value = np.concatenate([values_of(int(tables[row][p]), region) for p in pages], axis=1)
        value = value[:, keep, : region.value_dim].astype(np.float64)
        for head in range(shape.heads):
            scores = np.einsum("kd,d->k", key[head // group].astype(np.float64), q[row, head])
            scores *= shape.scale
            if shape.soft_cap:
                scores = shape.soft_cap * np.tanh(scores / shape.soft_cap)
            if slopes is not None:
                scores += slopes[head] * (np.arange(first, last + 1) - last)
            top = scores.max() if sinks is None else max(scores.max(), sinks[head])
            p = np.exp(scores - top)
            total = p.sum() + (0 if sinks is None else np.exp(sinks[head] - top))
            out[row, head] = np.einsum("k,kd->d", p, value[head // group]) / total
    return out


# --- one segment ----------------------------------------------------------------------------------


def _loaders(kind: str) -> tuple[Any, int]:
    return (load_f16x16, 2) if kind == "f16" else (load_f32x16, 4)


def _load_many(kind: str, count: int) -> Any:
    """A loader of `count` vectors, `stride` bytes apart."""
    load, size = _loaders(kind)

    def many(address, stride):
        return tuple(load(address + i * stride) for i in range(count))

    return unrolled(lambda address, stride: vectors(count))(many)


def _scores(kind: str, pairs: int, blocks: int) -> Any:
    """Scores of `pairs` queries with 16 * blocks keys: q . k for each lane, one chain over dim."""
    load, size, count = _load_many(kind, blocks), _loaders(kind)[1], pairs * blocks

    @unrolled(lambda totals, address, scale: void)
    def put(totals, address, scale):
        for i in range(pairs):
            for v in range(blocks):
                store_f32x16(address + 4 * PAGE * i + 64 * v, totals[i * blocks + v] * splat(scale))

    @inline
    def scores(query, keys, dim, out, scale):
        totals = zeros(count)
        for d in range(dim):
            vecs = load(keys + 16 * size * d, 16 * size * dim)
            totals = rank1(totals, vecs, query + 4 * d, 4 * dim)
        put(totals, out, scale)

    return scores


def _weighted(kind: str, pairs: int, width: int) -> Any:
    """Sums over positions of p[pair] * value, for 16 * width of the value's numbers."""
    load, size, count = _load_many(kind, width), _loaders(kind)[1], pairs * width

    @unrolled(lambda totals, address, stride: void)
    def put(totals, address, stride):
        for i in range(pairs):
            for v in range(width):
                store_f32x16(address + stride * i + 64 * v, totals[i * width + v])

    @inline
    def weighted(p, values, row_bytes, begin, end, out, stride):
        totals = zeros(count)
        for position in range(begin, end):
            vecs = load(values + position * row_bytes, 16 * size)
            totals = rank1(totals, vecs, p + 4 * position, 4 * PAGE)
        put(totals, out, stride)

    return weighted


@inline
def soften(scores, begin, end, first, last, cap, slope, state):
    """Scores of one pair -> p in place, m and l in its state; keys outside first..last get p = 0.

    `begin` and `end` are multiples of 16 within the segment, `first` and `last` count from its start.
    """
    top = splat(MINUS_INFINITY)
    for i in range(begin, end, 16):
        s = load_f32x16(scores + 4 * i)
        if cap > 0:
            s = splat(cap) * tanh(div(s, splat(cap)))
        index = isplat(i) + iota()
        if slope != 0:
            s = fma(to_f32(index - isplat(last)), splat(slope), s)
        s = select(less(index, isplat(first)), splat(MINUS_INFINITY), s)
        s = select(less(isplat(last), index), splat(MINUS_INFINITY), s)
        store_f32x16(scores + 4 * i, s)
        top = vmax(s, top)
    m = max_lanes(top)
    total = splat(0.0)
    for i in range(begin, end, 16):
        s = load_f32x16(scores + 4 * i)
        p = select(exceeds(s, splat(MINUS_INFINITY)), exp(s - splat(m)), splat(0.0))
        store_f32x16(scores + 4 * i, p)
        total = total + p
    store_f32(state, m)
    store_f32(state + 4, sum_lanes(total))


@inline
def clear(scores, begin, end):
    for i in range(begin, end, 16):
        store_f32x16(scores + 4 * i, splat(0.0))


@inline
def merge(state, segment, dim):
    """Add a segment's m, l and sums to a state; l = 0 says that there is nothing in it."""
    l, other = load_f32(state + 4), load_f32(segment + 4)
    if other == 0:
        return
    if l == 0:
        for i in range(0, dim + HEADER, 16):
            store_f32x16(state + 4 * i, load_f32x16(segment + 4 * i))
        return
    m, ms = load_f32(state), load_f32(segment)
    top = max(m, ms)
    a, b = exp(splat(m - top)), exp(splat(ms - top))
    store_f32(state, top)
    store_f32(state + 4, max_lanes(fma(splat(l), a, splat(other) * b)))
    for i in range(HEADER, dim + HEADER, 16):
        sums = fma(load_f32x16(state + 4 * i), a, load_f32x16(segment + 4 * i) * b)
        store_f32x16(state + 4 * i, sums)


@inline
def finish(state, out, dim, sink, has_sink):
    """Divide the sums by l, a sink's share included, and write `dim` numbers."""
    m, l = load_f32(state), load_f32(state + 4)
    a = splat(1.0)
    total = splat(l)
    if has_sink:
        top = max(m, sink)
        a = exp(splat(m - top))
        total = fma(splat(l), a, exp(splat(sink - top)))
    for i in range(0, dim, 16):
        value = div(load_f32x16(state + 4 * (HEADER + i)) * a, total)
        store_first(out + 4 * i, value, min(16, dim - i))


# --- kernels --------------------------------------------------------------------------------------


def _segment(key_type: str, value_type: str, pairs: int) -> Any:
    """One page's share for `pairs` (row, head) pairs: p, m, l and p V, written to their states."""
    blocks, width = (2, 2) if pairs == 8 else (4, 4)
    scores, weighted = _scores(key_type, pairs, blocks), _weighted(value_type, pairs, width)
    weighted_one = _weighted(value_type, pairs, 1)
    size = _loaders(value_type)[1]
    step = 16 * blocks
    key_block = 16 * _loaders(key_type)[1]

    @inline
    def segment(query, keys, values, dims, pads, start, ranges, caps, work, states, stride):
        key_dim, value_dim = dims, pads
        low, high = PAGE, 0
        for i in range(pairs):
            first = max(load_i64(ranges + 24 * i) - start, 0)
            last = min(load_i64(ranges + 24 * i + 8) - start, PAGE - 1)
            low, high = min(low, first), max(high, last + 1)
        if low >= high:
            for i in range(pairs):
                store_f32(states + stride * i + 4, np.float32(0))
            return
        begin, end = low // step * step, (high + step - 1) // step * step
        for k in range(begin, end, step):
            scores(query, keys + k // 16 * key_dim * key_block, key_dim, work + 4 * k, load_f32(caps))
        for i in range(pairs):
            first = load_i64(ranges + 24 * i) - start
            last = load_i64(ranges + 24 * i + 8) - start
            row, state = work + 4 * PAGE * i, states + stride * i
            if first >= PAGE or last < 0:
                clear(row, begin, end)
                store_f32(state + 4, np.float32(0))
                continue
            from_, to = max(first, 0) // 16 * 16, (min(last, PAGE - 1) // 16 + 1) * 16
            clear(row, begin, from_)
            clear(row, to, end)
            slope = load_f32(ranges + 24 * i + 16)
            soften(row, from_, to, first, last, load_f32(caps + 4), slope, state)
        column = 0
        while column + 16 * width <= value_dim:
            at_column = states + 4 * (HEADER + column)
            weighted(work, values + size * column, size * value_dim, low, high, at_column, stride)
            column += 16 * width
        while column < value_dim:
            at_column = states + 4 * (HEADER + column)
            weighted_one(work, values + size * column, size * value_dim, low, high, at_column, stride)
            column += 16

    return segment


def scratch_bytes(pairs: int, key_dim: int, value_dim: int) -> int:
    """Bytes of scratch per thread: queries, scores, two states and the range of each pair."""
    return pairs * (4 * key_dim + 4 * PAGE + 8 * (HEADER + value_dim) + 24) + 64


@inline
def gather_pairs(pairs, index, end, group, kv, q, q_stride, dim, spans, slopes, query, ranges):
    """Copy up to `pairs` queries that share a page table and note their key ranges.

    Returns how many were taken; the rest of the tile repeats the last one. Pair index = row * group + head.
    """
    taken = 0
    table = load_i64(spans + 24 * (index // group))
    while taken < pairs and index + taken < end:
        if load_i64(spans + 24 * ((index + taken) // group)) != table:
            break
        taken += 1
    for i in range(pairs):
        pair = index + min(i, taken - 1)
        row, head = pair // group, kv * group + pair % group
        source = q + row * q_stride + 4 * head * dim
        for d in range(dim):
            store_f32(query + 4 * (i * dim + d), load_f32(source + 4 * d))
        store_i64(ranges + 24 * i, load_i64(spans + 24 * row + 8))
        store_i64(ranges + 24 * i + 8, load_i64(spans + 24 * row + 16))
        store_f32(ranges + 24 * i + 16, load_f32(slopes + 4 * head) if slopes else np.float32(0))
    return taken


@functools.cache
def attend_many(key_type: str, value_type: str) -> Kernel:
    """Rows in tiles of 8 pairs, each tile's segments merged in order by one thread."""
    segment, pairs = _segment(key_type, value_type, 8), 8

    def body(
        part, parts, thread, q, spans, out, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, sinks, slopes, scratch, scratch_stride,
    ):  # fmt: skip
        group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
        query = scratch + thread * scratch_stride
        work = query + 4 * pairs * key_dim
        stride = 4 * (HEADER + padded)
        states, merged = work + 4 * PAGE * pairs, work + 4 * PAGE * pairs + pairs * stride
        ranges = merged + pairs * stride
        blocks = (rows * group + 31) // 32
        for job in range(kv_heads * blocks * part // parts, kv_heads * blocks * (part + 1) // parts):
            kv, index = job % kv_heads, job // kv_heads * 32
            end = min(index + 32, rows * group)
            while index < end:
                taken = gather_pairs(
                    pairs, index, end, group, kv, q, q_stride, key_dim, spans, slopes, query, ranges
                )
                low, high = load_i64(ranges), load_i64(ranges + 8)
                for i in range(pairs):
                    store_f32(merged + stride * i + 4, np.float32(0))
                    low = min(low, load_i64(ranges + 24 * i))
                    high = max(high, load_i64(ranges + 24 * i + 8))
                table = load_i64(spans + 24 * (index // group))
                for page in range(low // PAGE, high // PAGE + 1):
                    address = load_i64(table + 8 * page)
                    keys = address + key_offset + kv * key_head
                    values = address + value_offset + kv * value_head
                    segment(
                        query, keys, values, key_dim, padded, page * PAGE, ranges, caps, work, states, stride
                    )
                    for i in range(taken):
                        merge(merged + stride * i, states + stride * i, padded)
                for i in range(taken):
                    row, head = (index + i) // group, kv * group + (index + i) % group
                    sink = load_f32(sinks + 4 * head) if sinks else np.float32(0)
                    to = out + 4 * (row * heads + head) * value_dim
                    finish(merged + stride * i, to, value_dim, sink, sinks != 0)
                index += taken

    return Kernel(f"attend_many_{key_type}_{value_type}", body)


@functools.cache
def attend_few(key_type: str, value_type: str, pairs: int) -> Kernel:
    """Rows one at a time, segments spread over `splits`; states [row, head, segment] are merged later."""
    segment = _segment(key_type, value_type, pairs)

    def body(
        part, parts, thread, q, spans, partial, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, slopes, scratch, scratch_stride, splits, segments,
    ):  # fmt: skip
        group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
        query = scratch + thread * scratch_stride
        work = query + 4 * pairs * key_dim
        stride = 4 * (HEADER + padded)
        states = work + 4 * PAGE * pairs
        ranges = states + 2 * pairs * stride
        jobs = rows * kv_heads * splits
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            split, kv, row = job % splits, job // splits % kv_heads, job // (splits * kv_heads)
            index, end = row * group, (row + 1) * group
            while index < end:
                taken = gather_pairs(
                    pairs, index, end, group, kv, q, q_stride, key_dim, spans, slopes, query, ranges
                )
                table = load_i64(spans + 24 * row)
                page = load_i64(ranges) // PAGE
                page += (split - page) % splits
                while page <= load_i64(ranges + 8) // PAGE:
                    address = load_i64(table + 8 * page)
                    keys = address + key_offset + kv * key_head
                    values = address + value_offset + kv * value_head
                    segment(
                        query, keys, values, key_dim, padded, page * PAGE, ranges, caps, work, states, stride
                    )
                    for i in range(taken):
                        pair = row * heads + kv * group + (index + i) % group
                        to = partial + (pair * segments + page) * stride
                        for d in range(0, padded + HEADER, 16):
                            store_f32x16(to + 4 * d, load_f32x16(states + stride * i + 4 * d))
                    page += splits
                index += taken

    return Kernel(f"attend_few_{key_type}_{value_type}_{pairs}", body)


@kernel("attend_merge")
def attend_merge(
    part, parts, thread, partial, spans, out, rows, heads, value_dim, sinks, segments
):
    """Merge each pair's segments in order; the first one's memory is the state."""
    padded = (value_dim + 15) // 16 * 16
    stride = 4 * (HEADER + padded)
    for pair in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
        row, head = pair // heads, pair % heads
        first, last = load_i64(spans + 24 * row + 8) // PAGE, load_i64(spans + 24 * row + 16) // PAGE
        state = partial + (pair * segments + first) * stride
        for page in range(first + 1, last + 1):
            merge(state, partial + (pair * segments + page) * stride, padded)
        sink = load_f32(sinks + 4 * head) if sinks else np.float32(0)
        finish(state, out + 4 * pair * value_dim, value_dim, sink, sinks != 0)


def emit_attention(
    tape: Tape,
    pool: Pool,
    qkv: tuple[Any, Any, Any],
    positions: I64,
    spans: Spans,
    region: Region,
    shape: Shape,
    threads: int,
) -> Any:
    """Record storing keys and values [rows, kv heads, dim] and attending with q [rows, heads, dim]."""
    q, key, value = qkv
    rows, padded = len(q), region.padded_value_dim
    emit_store(tape, key, value, positions, spans.rows, region)
    out = pool.take((rows, shape.heads, region.value_dim))
    caps = np.array([shape.scale, shape.soft_cap], np.float32)
    tape.keep(caps)
    few = rows <= FEW_ROWS
    pairs = next(n for n in (1, 2, 4, 8) if n >= min(shape.heads // region.kv_heads, 8)) if few else 8
    scratch = pool.take((threads, scratch_bytes(pairs, region.key_dim, padded)), np.uint8)
    common = [
        rows, q.strides[0], shape.heads, region.kv_heads, region.key_dim, region.value_dim,
        region.key_offset, region.value_offset, *region.head_bytes, caps,
    ]  # fmt: skip
    if not few:
        values = [q, spans.rows, out, *common, 0, 0, scratch, scratch.strides[0]]
        kernel = attend_many(region.key_type, region.value_type)
        tape.emit(kernel, 16 * threads, values, [q, STORED], [out, scratch])
        return out.reshape(rows, -1)
    segments = -(-spans.longest // PAGE)
    partial = pool.take((rows, shape.heads, segments, HEADER + padded))
    splits = max(1, min(segments, 4 * threads // (rows * region.kv_heads)))
    values = [q, spans.rows, partial, *common, 0, scratch, scratch.strides[0], splits, segments]
    kernel = attend_few(region.key_type, region.value_type, pairs)
    parts = rows * region.kv_heads * splits
    tape.emit(kernel, parts, values, [q, STORED], [partial, scratch])
    values = [partial, spans.rows, out, rows, shape.heads, region.value_dim, 0, segments]
    tape.emit(attend_merge, min(threads, rows * shape.heads), values, [partial], [out])
    return out.reshape(rows, -1)
