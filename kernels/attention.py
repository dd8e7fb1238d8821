"""Attention: out = softmax(scale q K^T + bias) V over a cache of pages, each head group by itself.

Positions are cut in segments of 256, aligned at 0: scores, their maximum m, p = exp(score - m), the
sum l of p and p V are computed within one; segments are merged in the order of positions,

    m' = max(m, ms),   l' = l exp(m - m') + ls exp(ms - m'),   acc' alike        (Milakov and
    Gimelshein, 2018)

so a row's result depends on its own keys alone. Rows x heads that share keys are served up to 8 at
a time, a tile. Few rows: segments are spread over threads, keys and values go from the cache to
registers, and states are merged afterwards. Many rows: one thread widens a page once for several
tiles and merges as it goes. Both do the same arithmetic in the same order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .attention_segment import (
    HEADER,
    LANES,
    LIMITS,
    MINUS_INFINITY,
    RANGE,
    ROW,
    SEGMENT,
    clear_sums,
    count_pairs,
    finish,
    gather,
    make_scores,
    make_sums,
    merge,
    ranges_bytes,
    soften,
    state_bytes,
)
from .kv_pages import PAGE, STORED, Region, emit_store, keys_of, values_of
from .kv_types import KV_TYPES, widen_keys, widen_values
from .pool import ALIGN, Pool
from .simd import load_f32, load_i64, splat, store_f32x16
from .spans import Spans
from .tape import Kernel, Tape, kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
FEW_ROWS = 8
RUN = 16  # tiles that a widened page serves; with 8 and 4 about 0.9x (bench_attention, f16 prompt)


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


def _passes(types: tuple[str, str], pairs: int, widen: bool) -> Any:
    """The three passes over one segment, for a run of tiles that share a page table.

    `widen`: keys and values of a page are first turned to float32 in a panel. Else what is read
    next is asked for, at last the keys of page `following`.
    """
    key, value = (KV_TYPES[name] for name in types)
    wide_key, wide_value = widen and key.name != "f32", widen and value.name != "f32"
    plain = KV_TYPES["f32"]
    scores = make_scores(plain if wide_key else key, pairs, not widen)
    sums = make_sums(plain if wide_value else value, pairs, not widen)
    range_size = ranges_bytes(pairs)
    put_keys, put_values = widen_keys(key), widen_values(value)
    key_step, key_bytes = key.step, key.step_bytes
    value_step, value_bytes = value.step, value.step_bytes

    @inline
    def passes(
        start, low, high, table, key_at, value_at, dim, padded, tiles, queries, query, ranges, caps,
        panel, work, states, state_size, following,
    ):  # fmt: skip
        first, last = max(low, start) // PAGE, min(high, start + SEGMENT - 1) // PAGE
        stride = (dim + LANES - 1) // LANES * LANES * 4
        scale, cap = load_f32(caps), load_f32(caps + 4)
        for page in range(first, last + 1):
            keys = load_i64(table + 8 * page) + key_at
            after = load_i64(table + 8 * min(page + 1, last)) + key_at
            if page == last:
                after = load_i64(table + 8 * first) + value_at
            ahead = after - keys
            if wide_key:
                begin = max(low - page * PAGE, 0) // 32 * 32
                end = (min(high - page * PAGE, PAGE - 1) // 32 + 1) * 32
                row = dim // key_step * key_bytes
                put_keys(keys + begin * row, (end - begin) * dim // 32, panel + 4 * begin * dim)
                keys, ahead = panel, 0
            for tile in range(tiles):
                at = work + ROW * pairs * tile + 4 * (page * PAGE - start)
                limits = ranges + range_size * tile + RANGE * pairs
                scores(
                    query + stride * pairs * tile, stride, keys, dim, limits, page * PAGE, at,
                    scale, ahead,
                )  # fmt: skip
        for tile in range(tiles):
            state = states + state_size * tile
            for i in range(queries):
                seen = ranges + range_size * tile + RANGE * i
                soften(work + ROW * (pairs * tile + i), start, seen, cap, state, i)
            clear_sums(state, queries, padded)
        for page in range(first, last + 1):
            values = load_i64(table + 8 * page) + value_at
            after = load_i64(table + 8 * min(page + 1, last)) + value_at
            if page == last:
                after = load_i64(table + 8 * min(following, high // PAGE)) + key_at
            ahead = after - values
            if wide_value:
                begin = max(low - page * PAGE, 0) // 16 * 16
                end = (min(high - page * PAGE, PAGE - 1) // 16 + 1) * 16
                row = padded // value_step * value_bytes
                count = (end - begin) * padded // 32
                put_values(values + begin * row, count, panel + 4 * begin * padded)
                values, ahead = panel, 0
            for tile in range(tiles):
                p = work + ROW * pairs * tile + 4 * (page * PAGE - start)
                seen = ranges + range_size * tile
                sums(
                    p, values, padded, seen, queries, page * PAGE, states + state_size * tile, ahead
                )

    return passes


@inline
def bounds(ranges, pairs, tiles):
    """The first and the last position that any query of a run of tiles sees."""
    size = RANGE * pairs + LIMITS
    low, high = load_i64(ranges + RANGE * pairs), load_i64(ranges + RANGE * pairs + 8)
    for tile in range(1, tiles):
        limits = ranges + size * tile + RANGE * pairs
        low, high = min(low, load_i64(limits)), max(high, load_i64(limits + 8))
    return low, high - 1


@functools.cache
def attend_many(key_type: str, value_type: str) -> Kernel:
    """Rows in runs of tiles of 8 pairs, each run's segments merged in order by one thread."""
    passes, pairs = _passes((key_type, value_type), 8, widen=True), 8
    range_size = ranges_bytes(pairs)

    def body(
        part, parts, thread, q, spans, out, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, sinks, slopes,
        query, ranges, work, panel, states, scratch, most, queries,
    ):  # fmt: skip
        group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
        size, run = 4 * (HEADER + pairs * padded), pairs * most
        stride = (key_dim + LANES - 1) // LANES * LANES * 4
        base = scratch * thread
        query, ranges, panel, work, states = (
            query + base, ranges + base, panel + base, work + base, states + base,
        )  # fmt: skip
        merged = states + size * most
        blocks = (rows * group + run - 1) // run
        jobs = kv_heads * blocks
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            kv, block = job % kv_heads, blocks - 1 - job // kv_heads
            index, end = block * run, min(block * run + run, rows * group)
            while index < end:
                taken = count_pairs(index, end, run, group, spans)
                tiles = (taken + pairs - 1) // pairs
                for tile in range(tiles):
                    gather(
                        index + pairs * tile, taken - pairs * tile, queries, group, kv, q, q_stride,
                        key_dim, spans, slopes, query + pairs * tile * stride,
                        ranges + range_size * tile,
                    )  # fmt: skip
                low, high = bounds(ranges, pairs, tiles)
                table = load_i64(spans + 24 * (index // group))
                key_at, value_at = key_offset + kv * key_head, value_offset + kv * value_head
                for tile in range(tiles):
                    store_f32x16(merged + size * tile, splat(MINUS_INFINITY))
                    store_f32x16(merged + size * tile + 64, splat(0.0))
                for segment in range(low // SEGMENT, high // SEGMENT + 1):
                    passes(
                        segment * SEGMENT, low, high, table, key_at, value_at, key_dim, padded,
                        tiles, queries, query, ranges, caps, panel, work, states, size, 0,
                    )  # fmt: skip
                    for tile in range(tiles):
                        merge(merged + size * tile, states + size * tile, queries, padded)
                for i in range(taken):
                    row, head = (index + i) // group, kv * group + (index + i) % group
                    sink = load_f32(sinks + 4 * head) if sinks else np.float32(0)
                    to = out + 4 * (row * heads + head) * value_dim
                    state = merged + size * (i // pairs)
                    finish(state, i % pairs, padded, to, value_dim, sink, sinks != 0)
                index += taken

    return Kernel(f"attend_many_{key_type}_{value_type}", body)


@inline
def seen_segments(spans, rows):
    """How many segments the row that sees most of them does."""
    most = np.int64(0)
    for row in range(rows):
        first, last = load_i64(spans + RANGE * row + 8), load_i64(spans + RANGE * row + 16)
        most = max(most, last // SEGMENT - first // SEGMENT + 1)
    return most


@functools.cache
def attend_few(key_type: str, value_type: str, pairs: int) -> Kernel:
    """Tiles of any rows, segments spread over `splits`; states [kv head, tile, segment] are merged
    later. Where there are few segments, tiles are spread as well.
    """
    passes = _passes((key_type, value_type), pairs, widen=False)

    def body(
        part, parts, thread, q, spans, partial, rows, q_stride, heads, kv_heads, key_dim, value_dim,
        key_offset, value_offset, key_head, value_head, caps, slopes,
        query, ranges, work, scratch, splits, segments, most, together, queries,
    ):  # fmt: skip
        group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
        size = 4 * (HEADER + pairs * padded)
        base = scratch * thread
        query, ranges, work = query + base, ranges + base, work + base
        each, end = kv_heads * splits, rows * group
        # Where there are segments enough for all splits, a job's tiles find its keys in a cache.
        apart = together if seen_segments(spans, rows) <= splits else 1
        for turn in range((each * apart - part + parts - 1) // parts):
            job = part + turn * parts
            lane, kv, split = job // each, job % each // splits, job % splits
            key_at, value_at = key_offset + kv * key_head, value_offset + kv * value_head
            index, tile, slot = 0, 0, partial + kv * most * segments * size
            while index < end:
                taken = count_pairs(index, end, pairs, group, spans)
                if tile % apart == lane:
                    gather(
                        index, taken, queries, group, kv, q, q_stride, key_dim, spans, slopes,
                        query, ranges,
                    )  # fmt: skip
                    low, high = bounds(ranges, pairs, 1)
                    table = load_i64(spans + 24 * (index // group))
                    segment = low // SEGMENT
                    segment += (split - segment) % splits
                    while segment <= high // SEGMENT:
                        passes(
                            segment * SEGMENT, low, high, table, key_at, value_at, key_dim, padded,
                            1, queries, query, ranges, caps, 0, work, slot + segment * size, size,
                            (segment + splits) * (SEGMENT // PAGE),
                        )  # fmt: skip
                        segment += splits
                index += taken
                tile += 1
                slot += segments * size

    return Kernel(f"attend_few_{key_type}_{value_type}_{pairs}", body)


@kernel("attend_merge")
def attend_merge(
    part, parts, thread, partial, spans, out, rows, heads, kv_heads, value_dim, sinks, segments,
    most, pairs,
):  # fmt: skip
    """Merge each tile's segments in order; the first one's memory is the state."""
    group, padded = heads // kv_heads, (value_dim + 15) // 16 * 16
    size = 4 * (HEADER + pairs * padded)
    jobs = kv_heads * most
    for job in range(jobs * part // parts, jobs * (part + 1) // parts):
        kv, wanted = job % kv_heads, job // kv_heads
        index, end = 0, rows * group
        tile = 0
        while index < end:
            taken = count_pairs(index, end, pairs, group, spans)
            if tile == wanted:
                first, last = index // group, (index + taken - 1) // group
                low, high = load_i64(spans + 24 * first + 8), load_i64(spans + 24 * first + 16)
                for row in range(first + 1, last + 1):
                    low = min(low, load_i64(spans + 24 * row + 8))
                    high = max(high, load_i64(spans + 24 * row + 16))
                states = partial + (kv * most + tile) * segments * size
                state = states + low // SEGMENT * size
                for segment in range(low // SEGMENT + 1, high // SEGMENT + 1):
                    merge(state, states + segment * size, pairs, padded)
                for i in range(taken):
                    row, head = (index + i) // group, kv * group + (index + i) % group
                    sink = load_f32(sinks + 4 * head) if sinks else np.float32(0)
                    to = out + 4 * (row * heads + head) * value_dim
                    finish(state, i, padded, to, value_dim, sink, sinks != 0)
            tile += 1
            index += taken


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
    emit_store(tape, key, value, positions, spans.rows, region)
    out = pool.take((len(q), shape.heads, region.value_dim))
    caps = np.array([shape.scale, shape.soft_cap], np.float32)
    tape.keep((caps, sinks, slopes))
    common = [
        len(q), q.strides[0], shape.heads, region.kv_heads, region.key_dim, region.value_dim,
        region.key_offset, region.value_offset, *region.head_bytes, caps,
    ]  # fmt: skip
    call = _Call(tape, pool, q, spans, out, region, shape.heads, threads, sinks, slopes, common)
    (_emit_few if len(q) <= FEW_ROWS else _emit_many)(call)
    return out.reshape(len(q), -1)


@dataclass(frozen=True)
class _Call:
    """What both ways of attending are given."""

    tape: Tape
    pool: Pool
    q: Any
    spans: Spans
    out: Any
    region: Region
    heads: int
    threads: int
    sinks: Any
    slopes: Any
    common: list[Any]

    def scratch(self, pairs: int, tiles: int, widened: bool) -> tuple[Any, list[int]]:
        """Every thread's scratch; where the first's queries, ranges, scores, panel, states lie."""
        padded = self.region.padded_value_dim
        sizes = [
            4 * LANES * -(-self.region.key_dim // LANES) * pairs * tiles,
            ranges_bytes(pairs) * tiles,
            ROW * pairs * tiles,
            4 * PAGE * max(self.region.key_dim, padded) * widened,
            2 * state_bytes(pairs, padded) * tiles * widened,
        ]
        starts = np.cumsum([0, *(-(-size // ALIGN) * ALIGN for size in sizes)])
        scratch = self.pool.take((self.threads, int(starts[-1])), np.uint8)
        return scratch, [scratch.ctypes.data + int(start) for start in starts[:5]]


def _emit_many(call: _Call) -> None:
    region = call.region
    pairs = -(-len(call.q) * call.heads // region.kv_heads // 8)
    tiles = max(1, min(RUN, pairs * region.kv_heads // (4 * call.threads)))
    scratch, areas = call.scratch(8, tiles, widened=True)
    values = [
        call.q, call.spans.rows, call.out, *call.common, call.sinks, call.slopes, *areas,
        scratch.strides[0], tiles, 8,
    ]  # fmt: skip
    jobs = -(-pairs // tiles) * region.kv_heads
    kernel = attend_many(region.key_type, region.value_type)
    call.tape.emit(kernel, jobs, values, [call.q, STORED], [call.out, scratch])


def _emit_few(call: _Call) -> None:
    region, rows, threads = call.region, len(call.q), call.threads
    group = call.heads // region.kv_heads
    pairs = pairs_per_tile(rows * group)
    scratch, areas = call.scratch(pairs, 1, widened=False)
    segments, most = -(-call.spans.longest // SEGMENT), rows * -(-group // pairs)
    size = state_bytes(pairs, region.padded_value_dim)
    partial = call.pool.take((region.kv_heads, most, segments, size), np.uint8)
    splits = max(1, min(segments, -(-4 * threads // region.kv_heads)))
    together = -(-rows * group // pairs)  # tiles, if all rows are of one sequence
    values = [
        call.q, call.spans.rows, partial, *call.common, call.slopes, *areas[:3],
        scratch.strides[0], splits, segments, most, together, pairs,
    ]  # fmt: skip
    kernel, parts = attend_few(region.key_type, region.value_type, pairs), region.kv_heads * splits
    reads = [call.q, STORED]
    call.tape.emit(kernel, parts * together, values, reads, [partial, scratch])
    values = [
        partial, call.spans.rows, call.out, rows, call.heads, region.kv_heads, region.value_dim,
        call.sinks, segments, most, pairs,
    ]  # fmt: skip
    parts = min(4 * threads, region.kv_heads * most)
    call.tape.emit(attend_merge, parts, values, [partial], [call.out])


def pairs_per_tile(count: int) -> int:
    """Queries per tile, at most 8 and as equal as can be."""
    return -(-count // -(-count // 8))
