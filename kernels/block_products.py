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
    shift_right,
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


# --- one tile, in registers -----------------------------------------------------------------------


def _add_integers(signed: bool, requests: Requests | None) -> Any:
    """add(totals, codes, scales, minimums, record, far, near): one level of len(totals) rows."""

    @unrolled(lambda totals, *rest: totals)
    def add(totals, codes, scales, minimums, record, far, near):
        rows, groups = len(totals), len(scales)
        out = []
        for i, total in enumerate(totals):
            counts = []
            for group in range(groups):
                start, _ = _numbers(record, rows, group, groups)
                count = isplat(load_i32(start + 4 * i)) if signed else isplat(0)
                for g in _words(group, groups):
                    count = dot4(count, codes[g], isplat(load_i32(record + 32 * i + 4 * g)))
                    if requests:
                        requests.after(8 * i + g, 8 * rows, far, near)
                counts.append(count)
            total = _added(total, counts, scales, splat(load_f32(record + 32 * rows + 4 * i)))
            for group, minimum in enumerate(minimums):
                _, minus_sum = _numbers(record, rows, group, groups)
                total = fma(minimum, splat(load_f32(minus_sum + 4 * i)), total)
            out.append(total)
        return tuple(out)

    return add


def integer_adder(signed: bool, requests: Requests | None = None) -> Any:
    """add(totals, codes, scales, minimums, record, finer, far, near): the products of the first
    level, and of the second, `finer` bytes on, if there is one.

    `requests` go out on the way, to the addresses `far` and `near`.
    """
    first, second = _add_integers(signed, requests), _add_integers(signed, None)

    @inline
    def add(totals, codes, scales, minimums, record, finer, far, near):
        totals = first(totals, codes, scales, minimums, record, far, near)
        if load_i32(record + 60 * len(totals)):
            totals = second(totals, codes, scales, minimums, record + finer, far, near)
        return totals

    return add


def float_adder(requests: Requests | None = None) -> Any:
    """add(totals, columns, record, far, near): the block's products; record: float32 [rows, 32]."""

    @unrolled(lambda totals, *rest: totals)
    def add(totals, columns, record, far, near):
        parts = [[splat(0.0), splat(0.0)] for _ in totals]
        for c, column in enumerate(columns):
            for i, part in enumerate(parts):
                part[c & 1] = fma(splat(load_f32(record + 128 * i + 4 * c)), column, part[c & 1])
                if requests:
                    requests.after(len(parts) * c + i, 32 * len(parts), far, near)
        return tuple(total + (even + odd) for total, (even, odd) in zip(totals, parts, strict=True))

    return add


@unrolled(lambda *given: COLUMNS, literal="signed")
def dequantised(codes, scales, minimums, signed):
    """The 32 columns' weights: each product rounded, then the minimum subtracted."""
    out = []
    for c in range(32):
        code = shift_right(codes[c >> 2], 8 * (c & 3)) & 255
        if signed:
            code = code - 128
        group = c * len(scales) // 32
        weight = to_f32(code) * scales[group]
        out.append(weight - minimums[group] if minimums else weight)
    return tuple(out)


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
