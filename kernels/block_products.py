"""Products of 32 columns: totals[row] + sum over 32 k of x[row, k] * weight[16 lanes, k].

    integer  total + d * scale * sum of code_x * (code - 128)            128 as in `codes.py`
             total + d * scale * sum of code_x * code - minimum * sum x  of types with a minimum
             once with codes of x of 16 bits, or for each level of 8 bits
    float    total + (sum over even k + sum over odd k)

One function takes a tile's codes from registers, for few rows. Another reads the unpacked codes of
two tiles and gives each number of x to both: half the loads of x, which bound many rows. An
output's operations and their order are the same in both, so its bits are.

Four rows share a flag of the second level, but of 4 rows with one 1.4 to 2.4 need it. So many rows
take it row by row. Prompts, by turns: of 512 tokens on two Zen 3 cores 741 -> 635 ms (SmolLM2) and
721 -> 639 (gemma); of 1500 tokens on two Zen 5 cores 482 -> 472 and 401 -> 393.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._jit import inline
from .counts import counts_of
from .isa import NARROW, SUMS
from .records import Records
from .requests import Requests
from .simd import (
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

PAIR_ROWS = 4  # of two tiles at once; their 16 accumulators leave room for operands
CODE_BYTES = 512  # of 32 columns of a tile, unpacked


class Reading(NamedTuple):
    """What is multiplied by what: records that hold `held` rows, of which the first are used."""

    form: TileFormat
    records: Records
    held: int

    def factor(self, record: Any, i: int) -> Any:
        """Where row i's d lies."""
        return record + self.records.codes * self.held + 4 * i

    def sums(self, record: Any, group: int, i: int) -> tuple[Any, Any]:
        """Where row i's -128 sum lies, and its -d sum, of these columns."""
        field = 1 + (self.form.groups == 2) * (1 + group)
        first = self.factor(record, i) + 4 * field * self.held
        return first, first + 12 * self.held

    def activations(self, record: Any, i: int, g: int, part: int) -> Any:
        """Row i's activations of columns 4g to 4g + 3, or a part of them, in every lane."""
        at = 4 * (self.records.parts * g + part)
        return isplat(load_i32(record + self.records.codes * i + at))


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


def _start(of: Reading, record: Any, group: int, i: int) -> Any:
    """Where row i's sum of products begins: codes of signed types are 128 too large."""
    if counts_of(of.records).from_zero(of.form):
        return isplat(0)
    return isplat(load_i32(of.sums(record, group, i)[0]))


def _together(rows: int, tiles: int) -> list[tuple[range, range]]:
    """Rows and tiles that go together, so that registers hold their sums."""
    if rows * tiles <= SUMS:
        return [(range(rows), range(tiles))]
    some = [range(first, min(rows, first + SUMS)) for first in range(0, rows, SUMS)]
    return [(rows_of, range(t, t + 1)) for t in range(tiles) for rows_of in some]


def _products(of: Reading, group: int, record: Any, rows: int, which: Any, more: Any) -> Any:
    """Whole products of one group of columns, by the output's number: of `which` rows and tiles,
    of `rows` rows in all.

    `more` is (vector, after): vector(t, g) are a tile's codes, after() follows each row's products.
    """
    (some, beside), (vector, after) = which, more
    keys = [t * rows + i for t in beside for i in some]
    starts = [_start(of, record, group, k % rows) for k in keys]
    counts = counts_of(of.records)(of.form, dict(zip(keys, starts, strict=True)))
    # Row by row each product would wait for the one before.
    for g in _words(group, of.form.groups):
        vectors = [(t, vector(t, g)) for t in beside]
        for part in range(of.records.parts):
            ready = [(t, counts.ready(codes, part)) for t, codes in vectors]
            for i in some:
                x = of.activations(record, i, g, part)
                for t, codes in ready:
                    counts.add(t * rows + i, codes, x)
                after()
        counts.next()
        # Else LLVM reads all of x first and has no registers for it: 850 GOPS for 1400.
        fence(record)
    return counts.done()


def _add_integers(of: Reading, code: Any, requests: Requests | None) -> Any:
    """add(totals, tiles, record, asks): one level; each tile is (codes, scales, minimums), and
    code(codes, g) makes vector g.
    """

    @unrolled(lambda totals, *rest: totals)
    def add(totals, tiles, record, asks):
        rows, turns = len(totals) // len(tiles), itertools.count()
        found: list[list[Any]] = [[] for _ in totals]
        for some, beside in _together(rows, len(tiles)):
            products = 8 * of.records.parts * rows * len(tiles) // len(beside)

            def ask(products: int = products) -> None:
                if requests:
                    requests.after(next(turns), products, asks)

            more = lambda t, g: code(tiles[t][0], g), ask
            for group in range(of.form.groups):
                counts = _products(of, group, record, rows, (some, beside), more)
                for k, count in counts.items():
                    found[k].append(count)
        return tuple(
            _scaled(total, found[k], tiles[k // rows], of, record, k % rows)
            for k, total in enumerate(totals)
        )

    return add


def _scaled(total: Any, counts: Sequence[Any], tile: Any, of: Reading, record: Any, i: int) -> Any:
    """total + row i's counts of a block, each times its scale, less its minimums."""
    _, scales, minimums = tile
    total = _added(total, counts, scales, splat(load_f32(of.factor(record, i))))
    for group, minimum in enumerate(minimums):
        _, minus_sum = of.sums(record, group, i)
        total = fma(minimum, splat(load_f32(minus_sum)), total)
    return total


def integer_adder(of: Reading, tiles_at: Any, code: Any, requests: Requests | None = None) -> Any:
    """add(totals, place, record, finer, asks): the products of the first level, and of the second,
    `finer` bytes on, if there is one.

    There are as many totals of each tile as rows are multiplied. tiles_at(place) and `code` unpack
    the tiles; `requests` go out on the way, to the addresses `asks`.
    """
    held = of.held
    first, second = (_add_integers(of, code, some) for some in (requests, None))
    if of.records is Records.WORDS:
        return inline(
            lambda totals, place, record, finer, asks: first(totals, tiles_at(place), record, asks)
        )

    @inline
    def add(totals, place, record, finer, asks):
        totals = first(totals, tiles_at(place), record, asks)
        if load_i32(record + 60 * held):
            fence(record)  # unpacked anew: codes kept for this would push others to memory
            totals = second(totals, tiles_at(place), record + finer, asks)
        return totals

    return add


def _passes(rows: int, tiles: int) -> list[tuple[range, range, range]]:
    """Rows, tiles and columns that go together; with 16 registers even and odd columns do not."""
    halves = [range(odd, 32, 2) for odd in (0, 1)] if NARROW else [range(32)]
    return [(*both, columns) for both in _together(rows, tiles) for columns in halves]


def _add_columns(reader: Any, fenced: bool, requests: Requests | None) -> Any:
    """add(totals, tiles, record, asks); reader(tile) is a function of the column."""

    @unrolled(lambda totals, *rest: totals)
    def add(totals, tiles, record, asks):
        rows, done = len(totals) // len(tiles), 0
        parts = [[splat(0.0), splat(0.0)] for _ in totals]
        for some, beside, columns in _passes(rows, len(tiles)):
            readers = [(t, reader(tiles[t])) for t in beside]
            for c in columns:
                vectors = [(t, read(c)) for t, read in readers]
                for i in some:
                    x = splat(load_f32(record + 128 * i + 4 * c))
                    for t, vector in vectors:
                        part = parts[t * rows + i]
                        part[c & 1] = fma(x, vector, part[c & 1])
                    if requests:
                        requests.after(done, 32 * rows * len(tiles) // len(beside), asks)
                        done += 1
                if fenced:
                    fence(record)
        return tuple(total + (even + odd) for total, (even, odd) in zip(totals, parts, strict=True))

    return add


def float_adder(tiles_at: Any, reader: Any, requests: Requests | None = None) -> Any:
    """The same add() of tiles whose columns reader(tile) reads; the record is float32 [rows, 32],
    with no second level.
    """
    add_columns = _add_columns(reader, NARROW, requests)

    @inline
    def add(totals, place, record, finer, asks):
        return add_columns(totals, tiles_at(place), record, asks)

    return add


def panel_reader(address: Any) -> Any:
    """The columns of a panel."""
    return lambda c: load_f32x16(address + 64 * c)


# --- two tiles, unpacked in memory: totals of the first tile's rows, then of the second's ---------


def pair_adder(form: TileFormat, records: Records) -> Any:
    """add(totals, near, far, record, finer): the blocks at `near` and `far` on a record of
    PAIR_ROWS rows.
    """
    if records is Records.FLOATS:
        add_columns = _add_columns(panel_reader, True, None)
        return inline(
            lambda totals, near, far, record, finer: add_columns(totals, (near, far), record, ())
        )
    of = Reading(form, records, PAIR_ROWS)
    add_block = _integer_pair(of, range(PAIR_ROWS))
    if records is Records.WORDS:
        return inline(lambda totals, near, far, record, finer: add_block(totals, near, far, record))
    add_finer = _row_by_row(of)

    @inline
    def add(totals, near, far, record, finer):
        totals = add_block(totals, near, far, record)
        if load_i32(record + 60 * PAIR_ROWS):
            totals = add_finer(totals, near, far, record + finer)
        return totals

    return add


def _row_by_row(of: Reading, rows: int = PAIR_ROWS) -> Any:
    """add(totals, near, far, record): the first `rows` rows, but for those whose d is 0."""
    if not rows:
        return inline(lambda totals, near, far, record: totals)
    others, last = _row_by_row(of, rows - 1), rows - 1
    add_row, factor = _integer_pair(of, range(last, rows)), of.factor(0, last)

    @inline
    def add(totals, near, far, record):
        totals = others(totals, near, far, record)
        if load_i32(record + factor):
            totals = add_row(totals, near, far, record)
        return totals

    return add


def _integer_pair(of: Reading, rows: range) -> Any:
    """add(totals, near, far, record): the products of these rows of PAIR_ROWS."""
    groups = of.form.groups

    @unrolled(lambda totals, *rest: totals)
    def add_block(totals, near, far, record):
        counts = [_counts(of, group, rows, (near, far), record) for group in range(groups)]
        out = list(totals)
        for k in counts[0]:
            total, at = totals[k], (near, far)[k // PAIR_ROWS] + CODE_BYTES
            scales = [load_f32x16(at + 64 * group) for group in range(groups)]
            number = splat(load_f32(of.factor(record, k % PAIR_ROWS)))
            total = _added(total, [some[k] for some in counts], scales, number)
            for group in range(0 if of.form.signed else groups):
                _, minus_sum = of.sums(record, group, k % PAIR_ROWS)
                number = splat(load_f32(minus_sum))
                total = fma(load_f32x16(at + 64 * (groups + group)), number, total)
            out[k] = total
        return tuple(out)

    return add_block


def _counts(
    of: Reading, group: int, rows: range, panels: Sequence[Any], record: Any
) -> dict[int, Any]:
    """Whole products of one group of columns, by the number of the total."""
    found: dict[int, Any] = {}
    more = lambda t, g: load_i32x16(panels[t] + 64 * g), lambda: None
    for some, beside in _together(len(rows), len(panels)):
        which = rows[some.start : some.stop], beside
        found |= _products(of, group, record, PAIR_ROWS, which, more)
    return dict(sorted(found.items()))
