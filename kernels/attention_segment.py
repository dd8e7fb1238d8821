"""One segment of attention: 256 positions, for tiles of up to 8 queries that share their keys.

    s = scale q . k,   p = exp(s - m) with m = max s,   l = sum p,   sums = sum p v

The segment is worked on in three passes: scores of every page, then m, p and l, then the sums.
Scores are a chain over dim, lanes being keys; l is summed in 16 lanes, then as a tree; sums are a
chain over positions, lanes being numbers of the value. A tile's state is m and l of its queries, 16
floats each, then the sums of each query. A value that a query does not see is skipped, not
multiplied by zero: it may be infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._jit import inline
from .isa import SUMS
from .kv_pages import PAGE
from .kv_types import BLOCK, LANES, LOAD, KvType, row_loader
from .requests import HERE
from .simd import (
    div,
    exceeds,
    fma,
    iota,
    isplat,
    less,
    load_f32,
    load_f32x16,
    load_first,
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

SEGMENT = 2 * PAGE
HEADER = 2 * LANES  # floats before a state's sums
RANGE = 24  # bytes of a query's range: first and last key, slope
LIMITS = 32  # bytes of a tile's limits: what some see, from and up to, and what all see
ROW = 4 * SEGMENT  # bytes of one query's scores
MINUS_INFINITY = np.float32(-np.inf)


def ranges_bytes(pairs: int) -> int:
    """Bytes of a tile's ranges, its limits after them."""
    return RANGE * pairs + LIMITS


def state_bytes(pairs: int, padded: int) -> int:
    """Bytes of a tile's state."""
    return 4 * (HEADER + pairs * padded)


def _asker(size: int, ask: bool) -> Any:
    """ask_for(near, far): `size` bytes at each place, if `ask`.

    What is read soon is asked for nearer than what is read a page later, as in `requests.py`: keys
    and values of 4096 positions are read at 63 GB/s for 53 on Zen 5, from slower memory 43 for 41.
    """

    @unrolled(lambda near, far: void)
    def ask_for(near, far):
        for offset in range(0, size if ask else 0, 64):
            HERE.page(far + offset)
            if HERE.piece:
                HERE.piece(near + offset)

    return ask_for


def _room(kind: KvType) -> int:
    """Vectors of sums at once. Each run of pairs unpacks blocks anew: pairs that read them stay."""
    return 16 if kind.quantised else SUMS


def _width(kind: KvType, pairs: int) -> int:
    """How many vectors of each pair's sums, so that all pairs have room, or else runs of them."""
    room = _room(kind)
    return max(1, room // max(room // 4, 1 << (pairs - 1).bit_length()))


def _split(kind: KvType, pairs: int, width: int) -> int:
    """How many pairs go together, of `width` vectors each."""
    return min(pairs, max(1, _room(kind) // width))


# --- scores ---------------------------------------------------------------------------------------


def _put_scores(pairs: int, blocks: int) -> Any:
    @unrolled(lambda totals, address, scale: void)
    def put(totals, address, scale):
        for i in range(pairs):
            for v in range(blocks):
                store_f32x16(address + ROW * i + 64 * v, totals[i * blocks + v] * splat(scale))

    return put


def _number_scores(kind: KvType, pairs: int, blocks: int, ask: bool) -> Any:
    load, put, count = LOAD[kind.name], _put_scores(pairs, blocks), pairs * blocks
    size = LANES * kind.step_bytes
    ask_for = _asker(size * blocks, ask)

    @unrolled(lambda address, stride: vectors(blocks))
    def columns(address, stride):
        return tuple(load(address + v * stride) for v in range(blocks))

    @inline
    def scores(query, stride, keys, dim, out, scale, near, far):
        totals = zeros(count)
        for d in range(dim):
            wanted = keys + size * blocks * d  # in the order in which they lie
            ask_for(wanted + near, wanted + far)
            totals = rank1(totals, columns(keys + size * d, size * dim), query + 4 * d, stride)
        put(totals, out, scale)

    return scores


def _block_scores(kind: KvType, pairs: int, blocks: int, ask: bool) -> Any:
    form, put, count = kind.form, _put_scores(pairs, blocks), pairs * blocks
    unpack, size = form.unpack, form.unit_bytes
    ask_for = _asker(size, ask)

    @unrolled(lambda totals, *rest: totals)
    def add_unit(totals, units, query, stride):
        out, readers = list(totals), [form.reader(unit) for unit in units]
        for dim in range(BLOCK):
            column = [read(dim) for read in readers]
            for i in range(pairs):
                number = splat(load_f32(query + 4 * dim + i * stride))
                for v in range(blocks):
                    out[i * blocks + v] = fma(number, column[v], out[i * blocks + v])
        return tuple(out)

    @inline
    def scores(query, stride, keys, dim, out, scale, near, far):
        totals = zeros(count)
        row = dim // BLOCK * size
        for unit in range(dim // BLOCK):
            at = keys + size * unit
            ask_for(at + near, at + far)
            ask_for(at + row + near, at + row + far)
            both = (unpack(at, 0), unpack(at + row, 0))
            totals = add_unit(totals, both, query + 4 * BLOCK * unit, stride)
        put(totals, out, scale)

    return scores


def _scores(kind: KvType, pairs: int, blocks: int, ask: bool) -> Any:
    """Those of 16 * blocks keys, by as many pairs as go together."""
    make, some = _block_scores if kind.quantised else _number_scores, _split(kind, pairs, blocks)
    if some == pairs:
        return make(kind, pairs, blocks, ask)
    first, rest = make(kind, some, blocks, ask), _scores(kind, pairs - some, blocks, False)

    @inline
    def scores(query, stride, keys, dim, out, scale, near, far):
        first(query, stride, keys, dim, out, scale, near, far)
        rest(query + stride * some, stride, keys, dim, out + ROW * some, scale, near, far)

    return scores


def make_scores(kind: KvType, pairs: int, ask: bool) -> Any:
    """Scores of a tile's queries with the keys of a page that any of them sees.

    scores(query, stride, keys, dim, limits, start, out, scale, ahead): `start` is the page's first
    position; with `ask`, the piece `ahead` bytes further on is read next.
    """
    blocks = 2 if kind.quantised else _width(kind, pairs)
    some = _scores(kind, pairs, blocks, ask)
    step, row_bytes = LANES * blocks, kind.step_bytes

    @inline
    def scores(query, stride, keys, dim, limits, start, out, scale, ahead):
        low, high, _, _ = cut(limits, start, PAGE)
        row = dim // kind_step * row_bytes
        for k in range(low // step * step, high, step):
            near = row * step if k + step < PAGE else ahead - row * k
            some(query, stride, keys + row * k, dim, out + 4 * k, scale, near, ahead)

    kind_step = kind.step
    return scores


@inline
def cut(limits, start, size):
    """Of `size` positions from `start` on: low..high, seen by some of a tile's queries, and in it
    begin..end, seen by all.
    """
    low = max(load_i64(limits) - start, 0)
    high = max(min(load_i64(limits + 8) - start, size), low)
    begin = min(max(load_i64(limits + 16) - start, low), high)
    end = max(min(load_i64(limits + 24) - start, high), begin)
    return low, high, begin, end


# --- m, p and l -----------------------------------------------------------------------------------


@inline
def bend(scores, begin, end, last, cap, slope):
    """Soft-capped and sloped scores in place of the plain ones."""
    for i in range(begin, end, LANES):
        s = load_f32x16(scores + 4 * i)
        if cap > 0:
            s = splat(cap) * tanh(div(s, splat(cap)))
        distance = isplat(i) + iota() - isplat(last)
        store_f32x16(scores + 4 * i, fma(to_f32(distance), splat(slope), s))


@inline
def soften(scores, start, range_, cap, state, lane):
    """Scores of one query -> p in place, m and l in its lane of the state."""
    first, last = load_i64(range_) - start, load_i64(range_ + 8) - start
    slope = load_f32(range_ + 16)
    if first >= SEGMENT or last < 0:
        store_f32(state + 4 * lane, MINUS_INFINITY)
        store_f32(state + 4 * (LANES + lane), np.float32(0))
        return
    begin, end = max(first, 0) // LANES * LANES, min(last, SEGMENT - 1) // LANES * LANES + LANES
    if cap > 0 or slope != 0:
        bend(scores, begin, end, last, cap, slope)
    top = splat(MINUS_INFINITY)
    for i in range(begin, end, LANES):
        s = load_f32x16(scores + 4 * i)
        if i < first or i + LANES - 1 > last:
            index = isplat(i) + iota()
            s = select(less(index, isplat(first)), splat(MINUS_INFINITY), s)
            s = select(less(isplat(last), index), splat(MINUS_INFINITY), s)
            store_f32x16(scores + 4 * i, s)
        top = vmax(s, top)
    m = max_lanes(top)
    total = splat(0.0)
    for i in range(begin, end, LANES):
        p = exp(load_f32x16(scores + 4 * i) - splat(m))
        store_f32x16(scores + 4 * i, p)
        total = total + p
    store_f32(state + 4 * lane, m)
    store_f32(state + 4 * (LANES + lane), sum_lanes(total))


# --- sums -----------------------------------------------------------------------------------------


def _sums(kind: KvType, pairs: int, width: int, ask: bool = False) -> Any:
    """Add p[query] * value over positions begin..end, for 16 * width numbers of the values, by as
    many pairs as go together.
    """
    some = _split(kind, pairs, width)
    if some == pairs:
        return _sums_together(kind, pairs, width, ask)
    first, rest = _sums_together(kind, some, width, ask), _sums(kind, pairs - some, width)

    @inline
    def sums(p, values, row_bytes, begin, end, to, stride, ahead):
        first(p, values, row_bytes, begin, end, to, stride, ahead)
        rest(p + ROW * some, values, row_bytes, begin, end, to + stride * some, stride, ahead)

    return sums


def _sums_together(kind: KvType, pairs: int, width: int, ask: bool) -> Any:
    load, size = row_loader(kind, width), width * LANES // kind.step * kind.step_bytes
    ask_for, half = _asker(size, ask), PAGE // 2

    @unrolled(lambda address, stride: vectors(pairs * width))
    def take(address, stride):
        spots = [(i, v) for i in range(pairs) for v in range(width)]
        return tuple(load_f32x16(address + stride * i + 64 * v) for i, v in spots)

    @unrolled(lambda totals, address, stride: void)
    def put(totals, address, stride):
        for i in range(pairs):
            for v in range(width):
                store_f32x16(address + stride * i + 64 * v, totals[i * width + v])

    @inline
    def sums(p, values, row_bytes, begin, end, to, stride, ahead):
        totals = take(to, stride)
        for position in range(begin, end):
            at = values + position * row_bytes
            near = half * row_bytes if position < half else ahead - half * row_bytes
            ask_for(at + near, at + ahead)
            totals = rank1(totals, load(at), p + 4 * position, ROW)
        put(totals, to, stride)

    return sums


def make_sums(kind: KvType, pairs: int, ask: bool) -> Any:
    """Add a page's p V to a tile's state: what all queries see together, the rest one by one.

    sums(p, values, padded, ranges, queries, start, state, ahead); `queries` is `pairs`, but not
    known to the compiler, which would repeat the loop's body.
    """
    least = 2 if kind.quantised else 1
    width = max(least, _width(kind, pairs))
    step, step_bytes = kind.step, kind.step_bytes
    wide, narrow = _sums(kind, pairs, width, ask), _sums(kind, pairs, least, ask)
    edge = _sums(kind, 1, least)

    @inline
    def one_by_one(p, values, row_bytes, padded, ranges, queries, start, begin, end, state):
        for i in range(queries):
            first = max(load_i64(ranges + RANGE * i) - start, begin)
            last = min(load_i64(ranges + RANGE * i + 8) - start, end - 1)
            for column in range(0, padded if first <= last else 0, LANES * least):
                at = values + column // step * step_bytes
                to = state + 4 * (HEADER + i * padded + column)
                edge(p + ROW * i, at, row_bytes, first, last + 1, to, 0, 0)

    @inline
    def sums(p, values, padded, ranges, queries, start, state, ahead):
        low, high, begin, end = cut(ranges + RANGE * pairs, start, PAGE)
        row_bytes = padded // step * step_bytes
        if begin > low:
            one_by_one(p, values, row_bytes, padded, ranges, queries, start, low, begin, state)
        column = 0
        while column + LANES * width <= padded:
            at, to = values + column // step * step_bytes, state + 4 * (HEADER + column)
            wide(p, at, row_bytes, begin, end, to, 4 * padded, ahead)
            column += LANES * width
        while column < padded:
            at, to = values + column // step * step_bytes, state + 4 * (HEADER + column)
            narrow(p, at, row_bytes, begin, end, to, 4 * padded, ahead)
            column += LANES * least
        if end < high:
            one_by_one(p, values, row_bytes, padded, ranges, queries, start, end, high, state)

    return sums


@inline
def clear_sums(state, pairs, padded):
    for i in range(0, pairs * padded, LANES):
        store_f32x16(state + 4 * (HEADER + i), splat(0.0))


# --- states ---------------------------------------------------------------------------------------


@inline
def merge(state, segment, pairs, padded):
    """Add a segment's m, l and sums to a state; l = 0 says that a query has seen nothing yet.

    The segment's own m is lost.
    """
    m, ms = load_f32x16(state), load_f32x16(segment)
    mass, other = load_f32x16(state + 64), load_f32x16(segment + 64)
    top = vmax(m, ms)
    known = select(exceeds(top, splat(MINUS_INFINITY)), top, splat(0.0))
    a, b = exp(m - known), exp(ms - known)
    store_f32x16(state, a)
    store_f32x16(segment, b)
    for i in range(pairs):
        if load_f32(segment + 64 + 4 * i) == 0:
            continue
        fresh = load_f32(state + 64 + 4 * i) == 0
        x, y = splat(load_f32(state + 4 * i)), splat(load_f32(segment + 4 * i))
        for d in range(HEADER + i * padded, HEADER + (i + 1) * padded, LANES):
            added = load_f32x16(segment + 4 * d)
            if not fresh:
                added = fma(load_f32x16(state + 4 * d), x, added * y)
            store_f32x16(state + 4 * d, added)
    store_f32x16(state, top)
    store_f32x16(state + 64, fma(mass, a, other * b))


@inline
def finish(state, lane, padded, out, dim, sink, has_sink):
    """Divide a query's sums by l, a sink's share included, and write `dim` numbers."""
    m, mass = load_f32(state + 4 * lane), load_f32(state + 64 + 4 * lane)
    a = splat(1.0)
    total = splat(mass)
    if has_sink:
        top = max(m, sink)
        a = exp(splat(m - top))
        total = fma(splat(mass), a, exp(splat(sink - top)))
    sums = state + 4 * (HEADER + lane * padded)
    for i in range(0, dim, LANES):
        value = div(load_f32x16(sums + 4 * i) * a, total)
        store_first(out + 4 * i, value, min(16, dim - i))


# --- queries --------------------------------------------------------------------------------------


@inline
def count_pairs(index, end, most, group, spans):
    """How many (row, head) pairs from `index` on share a page table, up to `most`."""
    taken, table = 0, load_i64(spans + RANGE * (index // group))
    while taken < most and index + taken < end:
        if load_i64(spans + RANGE * ((index + taken) // group)) != table:
            break
        taken += 1
    return taken


@inline
def gather(index, taken, pairs, group, kv, q, q_stride, dim, spans, slopes, query, ranges):
    """Copy a tile's queries, the last of `taken` repeated, and note what they see.

    Pair index = row * group + head. A query takes `dim` numbers, padded to 16.
    """
    stride = (dim + LANES - 1) // LANES * LANES * 4
    some, until, every, all_until = 1 << 62, 0, 0, 1 << 62
    for i in range(pairs):
        pair = index + min(i, taken - 1)
        row, head = pair // group, kv * group + pair % group
        source = q + row * q_stride + 4 * head * dim
        for d in range(0, dim, LANES):
            store_f32x16(query + stride * i + 4 * d, load_first(source + 4 * d, min(16, dim - d)))
        first, end = load_i64(spans + RANGE * row + 8), load_i64(spans + RANGE * row + 16) + 1
        some, until = min(some, first), max(until, end)
        every, all_until = max(every, first), min(all_until, end)
        store_i64(ranges + RANGE * i, first)
        store_i64(ranges + RANGE * i + 8, end - 1)
        slope = load_f32(slopes + 4 * head) if slopes else np.float32(0)
        store_f32(ranges + RANGE * i + 16, slope)
    limits = ranges + RANGE * pairs
    store_i64(limits, some)
    store_i64(limits + 8, until)
    store_i64(limits + 16, every)
    store_i64(limits + 24, all_until)
