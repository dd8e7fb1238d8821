"""Products of 32 columns: totals[row] + sum over 32 k of x[row, k] * weight[16 lanes, k].

    integer  total + d * scale * sum of code_x * (code - 128)            128 as in `codes.py`
             total + d * scale * sum of code_x * code - minimum * sum x  of types with a minimum
    float    total + (sum over even k + sum over odd k)

One function takes a tile's codes from registers, for few rows. Another reads the unpacked codes of
two tiles and gives each number of x to both: half the loads of x, which bound many rows. An
output's operations and their order are the same in both, so its bits are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._jit import inline
from .requests import Requests
from .simd import (
    dot4,
    fence,
    fma,
    isplat,
    load_f32,
    load_f32x16,
    load_i32,
    load_i32x16,
    splat,
    to_f32,
    unrolled,
)
from .tiles.codes import TileFormat
from .tiles.floats import COLUMNS

PAIR_ROWS = 4  # of two tiles at once; their 16 accumulators leave room for operands
CODE_BYTES = 512  # of 32 columns of a tile, unpacked

# What follows counts in a record of `rows` rows (`activations.py`): numbers per row, 4 bytes each.


def _numbers(record: Any, rows: int, group: int, groups: int) -> tuple[Any, Any]:
    """Where the first row's -128 sum lies, and its -d sum, of these columns."""
    field = 1 + (groups == 2) * (1 + group)
    numbers = record + 32 * rows
    return numbers + 4 * field * rows, numbers + 4 * (3 + field) * rows


def _words(group: int, groups: int) -> range:
    """The vectors of four columns that have one scale."""
    return range(8 * group // groups, 8 * (group + 1) // groups)


def _added(total: Any, counts: Sequence[Any], scales: Sequence[Any], d: Any) -> Any:
    """total + the counts of one group of columns, or of two, each times its scale, times d."""
    if len(counts) == 1:  # scale * d does not wait for the count: up to 6 % more
        return fma(to_f32(counts[0]), scales[0] * d, total)
    first, second = (to_f32(count) for count in counts)
    return fma(fma(second, scales[1], first * scales[0]), d, total)


# --- one tile or two, in registers: totals of the first tile's rows, then of the second's ---------


def _add_integers(signed: bool, code: Any, requests: Requests | None) -> Any:
    """add(totals, tiles, record, asks): one level; each tile is (codes, scales, minimums), and
    code(codes, g) makes vector g.
    """

    @unrolled(lambda totals, *rest: totals)
    def add(totals, tiles, record, asks):
        rows, groups = len(totals) // len(tiles), len(tiles[0][1])
        every, done = range(len(totals)), 0
        counts = [[isplat(0)] * groups for _ in every]
        for i in range(rows if signed else 0):
            for group in range(groups):
                start, _ = _numbers(record, rows, group, groups)
                for k in range(i, len(totals), rows):
                    counts[k][group] = isplat(load_i32(start + 4 * i))
        # Row by row each product would wait for the one before.
        for g in range(8):
            vectors = [code(codes, g) for codes, _, _ in tiles]
            for i in range(rows):
                x, group = isplat(load_i32(record + 32 * i + 4 * g)), g * groups // 8
                for t, vector in enumerate(vectors):
                    count = counts[t * rows + i]
                    count[group] = dot4(count[group], vector, x)
                if requests:
                    requests.after(done, 8 * rows, asks)
                    done += 1
            fence(record)
        return tuple(
            _scaled(total, counts[k], tiles[k // rows], record, rows, k % rows)
            for k, total in enumerate(totals)
        )

    return add


def _scaled(total: Any, counts: Sequence[Any], tile: Any, record: Any, rows: int, i: int) -> Any:
    """total + row i's counts of a block, each times its scale, less its minimums."""
    _, scales, minimums = tile
    total = _added(total, counts, scales, splat(load_f32(record + 32 * rows + 4 * i)))
    for group, minimum in enumerate(minimums):
        _, minus_sum = _numbers(record, rows, group, len(scales))
        total = fma(minimum, splat(load_f32(minus_sum + 4 * i)), total)
    return total


def integer_adder(
    signed: bool, rows: int, tiles_at: Any, code: Any, requests: Requests | None = None
) -> Any:
    """add(totals, place, record, finer, asks): the products of the first level, and of the second,
    `finer` bytes on, if there is one.

    tiles_at(place) and `code` unpack the tiles; `requests` go out on the way, to the addresses
    `asks`.
    """
    first, second = _add_integers(signed, code, requests), _add_integers(signed, code, None)

    @inline
    def add(totals, place, record, finer, asks):
        totals = first(totals, tiles_at(place), record, asks)
        if load_i32(record + 60 * rows):
            fence(record)  # unpacked anew: codes kept for this would push others to memory
            totals = second(totals, tiles_at(place), record + finer, asks)
        return totals

    return add


def float_adder(tiles_at: Any, requests: Requests | None = None) -> Any:
    """The same add() of tiles that are 32 columns each; the record is float32 [rows, 32], with no
    second level.
    """

    @unrolled(lambda totals, *rest: totals)
    def add_columns(totals, tiles, record, asks):
        rows = len(totals) // len(tiles)
        parts = [[splat(0.0), splat(0.0)] for _ in totals]
        for c in range(32):
            for i in range(rows):
                x = splat(load_f32(record + 128 * i + 4 * c))
                for t, columns in enumerate(tiles):
                    part = parts[t * rows + i]
                    part[c & 1] = fma(x, columns[c], part[c & 1])
                if requests:
                    requests.after(rows * c + i, 32 * rows, asks)
        return tuple(total + (even + odd) for total, (even, odd) in zip(totals, parts, strict=True))

    @inline
    def add(totals, place, record, finer, asks):
        return add_columns(totals, tiles_at(place), record, asks)

    return add


def dequantiser(form: TileFormat) -> Any:
    """columns(codes, scales, minimums): the 32 columns' weights."""

    @unrolled(lambda *given: COLUMNS)
    def columns(codes, scales, minimums):
        vectors = form.vectors(codes)
        return tuple(form.weight(vectors, scales, minimums, c) for c in range(32))

    return columns


# --- two tiles, unpacked in memory: totals of the first tile's rows, then of the second's ---------


def pair_adder(form: TileFormat, integer: bool) -> Any:
    """add(totals, near, far, record, finer): the blocks at `near` and `far` on a record of
    PAIR_ROWS rows.
    """
    if not integer:
        return inline(lambda totals, near, far, record, finer: add_pair(totals, near, far, record))
    add_block = _integer_pair(form)

    @inline
    def add(totals, near, far, record, finer):
        totals = add_block(totals, near, far, record)
        if load_i32(record + 60 * PAIR_ROWS):
            totals = add_block(totals, near, far, record + finer)
        return totals

    return add


def _integer_pair(form: TileFormat) -> Any:
    groups = form.groups

    @unrolled(lambda totals, *rest: totals)
    def add_block(totals, near, far, record):
        counts = [_counts(form, group, (near, far), record) for group in range(groups)]
        d, out = record + 32 * PAIR_ROWS, []
        for k, total in enumerate(totals):
            at = (near, far)[k // PAIR_ROWS] + CODE_BYTES
            scales = [load_f32x16(at + 64 * group) for group in range(groups)]
            number = splat(load_f32(d + 4 * (k % PAIR_ROWS)))
            total = _added(total, [some[k] for some in counts], scales, number)
            for group in range(0 if form.signed else groups):
                _, minus_sum = _numbers(record, PAIR_ROWS, group, groups)
                number = splat(load_f32(minus_sum + 4 * (k % PAIR_ROWS)))
                total = fma(load_f32x16(at + 64 * (groups + group)), number, total)
            out.append(total)
        return tuple(out)

    return add_block


def _counts(form: TileFormat, group: int, panels: Sequence[Any], record: Any) -> list[Any]:
    """Whole products of one group of columns, in the order of the totals."""
    start, _ = _numbers(record, PAIR_ROWS, group, form.groups)
    rows = range(PAIR_ROWS)
    counts = [isplat(load_i32(start + 4 * i)) if form.signed else isplat(0) for i in rows] * 2
    for g in _words(group, form.groups):
        near, far = (load_i32x16(panel + 64 * g) for panel in panels)
        for i in rows:
            x = isplat(load_i32(record + 32 * i + 4 * g))
            counts[i] = dot4(counts[i], near, x)
            counts[i + PAIR_ROWS] = dot4(counts[i + PAIR_ROWS], far, x)
        # Else LLVM reads all of x first and has no registers for it: 850 GOPS for 1400.
        fence(record)
    return counts


@unrolled(lambda totals, *rest: totals)
def add_pair(totals, near, far, record):
    """The same of float weights."""
    rows, parts = range(PAIR_ROWS), [[splat(0.0), splat(0.0)] for _ in totals]
    for c in range(32):
        columns = [load_f32x16(panel + 64 * c) for panel in (near, far)]
        for i in rows:
            x = splat(load_f32(record + 128 * i + 4 * c))
            for k, column in zip((i, i + PAIR_ROWS), columns, strict=True):
                parts[k][c & 1] = fma(x, column, parts[k][c & 1])
        fence(record)
    return tuple(total + (even + odd) for total, (even, odd) in zip(totals, parts, strict=True))
