"""One segment of attention: the keys and values of one page, for up to 8 queries that share them.

    s = scale q . k,   p = exp(s - m) with m = max s,   l = sum p,   sums = sum p v

A state is 16 floats (m, l, unused) and then the sums. Scores are a chain over dim, lanes being
keys; l is summed in 16 lanes, then as a tree; sums are a chain over positions, lanes being numbers
of the value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._jit import inline
from .kv_pages import PAGE
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
from .vmath import exp, tanh

MINUS_INFINITY = np.float32(-np.inf)
HEADER = 16  # floats before a state's sums


def _loaders(kind: str) -> tuple[Any, int]:
    return (load_f16x16, 2) if kind == "f16" else (load_f32x16, 4)


def _load_many(kind: str, count: int) -> Any:
    """A loader of `count` vectors, `stride` bytes apart."""
    load = _loaders(kind)[0]

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

    `begin` and `end` are multiples of 16 within the segment, `first` and `last` count from its
    start.
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
    mass, other = load_f32(state + 4), load_f32(segment + 4)
    if other == 0:
        return
    if mass == 0:
        for i in range(0, dim + HEADER, 16):
            store_f32x16(state + 4 * i, load_f32x16(segment + 4 * i))
        return
    m, ms = load_f32(state), load_f32(segment)
    top = max(m, ms)
    a, b = exp(splat(m - top)), exp(splat(ms - top))
    store_f32(state, top)
    store_f32(state + 4, max_lanes(fma(splat(mass), a, splat(other) * b)))
    for i in range(HEADER, dim + HEADER, 16):
        sums = fma(load_f32x16(state + 4 * i), a, load_f32x16(segment + 4 * i) * b)
        store_f32x16(state + 4 * i, sums)


@inline
def finish(state, out, dim, sink, has_sink):
    """Divide the sums by l, a sink's share included, and write `dim` numbers."""
    m, mass = load_f32(state), load_f32(state + 4)
    a = splat(1.0)
    total = splat(mass)
    if has_sink:
        top = max(m, sink)
        a = exp(splat(m - top))
        total = fma(splat(mass), a, exp(splat(sink - top)))
    for i in range(0, dim, 16):
        value = div(load_f32x16(state + 4 * (HEADER + i)) * a, total)
        store_first(out + 4 * i, value, min(16, dim - i))


def make_segment(key_type: str, value_type: str, pairs: int) -> Any:
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
            scores(
                query, keys + k // 16 * key_dim * key_block, key_dim, work + 4 * k, load_f32(caps)
            )
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
            weighted_one(
                work, values + size * column, size * value_dim, low, high, at_column, stride
            )
            column += 16

    return segment


def scratch_bytes(pairs: int, key_dim: int, value_dim: int) -> int:
    """Bytes of scratch per thread: queries, scores, two states and the range of each pair."""
    return pairs * (4 * key_dim + 4 * PAGE + 8 * (HEADER + value_dim) + 24) + 64


@inline
def gather_pairs(pairs, index, end, group, kv, q, q_stride, dim, spans, slopes, query, ranges):
    """Copy up to `pairs` queries that share a page table and note their key ranges.

    Returns how many were taken; the rest of the tile repeats the last one. Pair index = row * group
    + head.
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
