"""Attention: out = softmax(scale q K^T + bias) V over a cache of pages, each head group by itself.

The keys of a page are one segment: scores, their maximum m, p = exp(score - m), the sum l of p and
p V are computed within it; segments are merged in the order of positions,

    m' = max(m, ms),   l' = l exp(m - m') + ls exp(ms - m'),   acc' alike        (Milakov and
    Gimelshein, 2018)

so a row's result depends on its own keys alone. Rows x heads that share keys are served up to 8 at
a time. Few rows: segments are spread over threads and merged afterwards; many rows: one thread
merges as it goes. Both do the same arithmetic in the same order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attention_segment import HEADER, finish, gather_pairs, make_segment, merge, scratch_bytes
from .kv_pages import PAGE, STORED, Region, emit_store, keys_of, values_of
from .pool import Pool
from .simd import load_f32, load_f32x16, load_i64, store_f32, store_f32x16
from .spans import Spans
from .tape import Kernel, Tape, kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
FEW_ROWS = 8


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
    """q [rows, heads, key dim], ranges [rows, 2] (first, last key) -> [rows, heads, value dim]."""
    out = np.zeros((len(q), shape.heads, region.value_dim))
    group = shape.heads // region.kv_heads
    for row, (first, last) in enumerate(ranges):
        pages = range(first // PAGE, last // PAGE + 1)
        keep = slice(first - first // PAGE * PAGE, last + 1 - first // PAGE * PAGE)
        kept = [keys_of(int(tables[row][p]), region).swapaxes(2, 3) for p in pages]
        key = np.concatenate([k.reshape(region.kv_heads, PAGE, -1) for k in kept], axis=1)[:, keep]
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


# --- kernels --------------------------------------------------------------------------------------


@functools.cache
def attend_many(key_type: str, value_type: str) -> Kernel:
    """Rows in tiles of 8 pairs, each tile's segments merged in order by one thread."""
    segment, pairs = make_segment(key_type, value_type, 8), 8

    def body(
        part, parts, thread, q, spans, out, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, sinks, slopes,
        scratch, scratch_stride,
    ):  # fmt: skip
        group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
        query = scratch + thread * scratch_stride
        work = query + 4 * pairs * key_dim
        stride = 4 * (HEADER + padded)
        states, merged = work + 4 * PAGE * pairs, work + 4 * PAGE * pairs + pairs * stride
        ranges = merged + pairs * stride
        blocks = (rows * group + 31) // 32
        for job in range(
            kv_heads * blocks * part // parts, kv_heads * blocks * (part + 1) // parts
        ):
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
                        query,
                        keys,
                        values,
                        key_dim,
                        padded,
                        page * PAGE,
                        ranges,
                        caps,
                        work,
                        states,
                        stride,
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
    """Rows one at a time, segments spread over `splits`; states [row, head, segment] are merged
    later.
    """
    segment = make_segment(key_type, value_type, pairs)

    def body(
        part, parts, thread, q, spans, partial, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, slopes,
        scratch, scratch_stride, splits, segments,
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
                        query,
                        keys,
                        values,
                        key_dim,
                        padded,
                        page * PAGE,
                        ranges,
                        caps,
                        work,
                        states,
                        stride,
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
def attend_merge(part, parts, thread, partial, spans, out, rows, heads, value_dim, sinks, segments):
    """Merge each pair's segments in order; the first one's memory is the state."""
    padded = (value_dim + 15) // 16 * 16
    stride = 4 * (HEADER + padded)
    for pair in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
        row, head = pair // heads, pair % heads
        first, last = (
            load_i64(spans + 24 * row + 8) // PAGE,
            load_i64(spans + 24 * row + 16) // PAGE,
        )
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
    sinks: Any = 0,
    slopes: Any = 0,
) -> Any:
    """Record storing keys and values [rows, kv heads, dim] and attending with q [rows, heads, dim].

    `sinks` and `slopes` are float32 [heads], or 0.
    """
    q, key, value = qkv
    rows, padded = len(q), region.padded_value_dim
    emit_store(tape, key, value, positions, spans.rows, region)
    out = pool.take((rows, shape.heads, region.value_dim))
    caps = np.array([shape.scale, shape.soft_cap], np.float32)
    tape.keep((caps, sinks, slopes))
    few = rows <= FEW_ROWS
    pairs = (
        next(n for n in (1, 2, 4, 8) if n >= min(shape.heads // region.kv_heads, 8)) if few else 8
    )
    scratch = pool.take((threads, scratch_bytes(pairs, region.key_dim, padded)), np.uint8)
    common = [
        rows, q.strides[0], shape.heads, region.kv_heads, region.key_dim, region.value_dim,
        region.key_offset, region.value_offset, *region.head_bytes, caps,
    ]  # fmt: skip
    if not few:
        values = [q, spans.rows, out, *common, sinks, slopes, scratch, scratch.strides[0]]
        kernel = attend_many(region.key_type, region.value_type)
        tape.emit(kernel, 16 * threads, values, [q, STORED], [out, scratch])
        return out.reshape(rows, -1)
    segments = -(-spans.longest // PAGE)
    partial = pool.take((rows, shape.heads, segments, HEADER + padded))
    splits = max(1, min(segments, 4 * threads // (rows * region.kv_heads)))
    values = [
        q,
        spans.rows,
        partial,
        *common,
        slopes,
        scratch,
        scratch.strides[0],
        splits,
        segments,
    ]
    kernel = attend_few(region.key_type, region.value_type, pairs)
    parts = rows * region.kv_heads * splits
    tape.emit(kernel, parts, values, [q, STORED], [partial, scratch])
    values = [partial, spans.rows, out, rows, shape.heads, region.value_dim, sinks, segments]
    tape.emit(attend_merge, min(threads, rows * shape.heads), values, [partial], [out])
    return out.reshape(rows, -1)
