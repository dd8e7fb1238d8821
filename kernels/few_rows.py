"""Products of few rows: weights go straight from tile to register, anew for each group of rows.

Two tiles at once share the loads of x and are read as two streams. Milliseconds of a step of the
1.07B model, Q4_0, on two Intel cores, one tile and two:

    AVX-512 VNNI, 1 row  23.6  23.1     AVX-VNNI, 1 row  27.5  23.1
                  4 rows 30.5  27.3               4 rows 31.4  53.2

Four rows of two tiles need the 32 wide registers of AVX-512; eight would not fit even there. With
16 registers two rows of two tiles go together, or four of one. AMD's cores read one stream faster
than two: `requests.py` has the times, and where Zen 3 does not.

With 16 registers eight rows are two groups. Of one kernel's eight rows any would ask for the second
level of all (`activations.py`): a step of 8 rows of SmolLM2 took 18.8 ms on two Zen 3 cores, in
groups 16.3, of 16 rows 40.4 and 35.4.

A record of four rows serves kernels for two and for three as well: a step of a 1.07B model on two
Zen 3 cores takes 22 and 24 ms for 28 (Q4_0), 29 and 31 for 37 (Q4_K_M); on Zen 4 13 and 17 for 22
(Q2_K), on Zen 5 6.5 and 8.0 for 9.7, on Emerald Rapids 20.7 and 24.2 for 27.5 (Q4_0 27.8 and 28.4
for 29.0 and 30.0).

AVX2 shifts codes down, half as many a cycle as it masks. Blocks that lie in the same bytes are
compiled one after the other there, so that how far is known: some are not shifted then. Nanoseconds
of a block of 16 rows on one Zen 3 core, one row and four, in a loop and so (8 rows lose):

    q2_k  12.1  28.1   10.6  26.1     q5_k  17.7  31.8   16.4  30.8
    q3_k  13.7  30.7   12.2  27.1     q6_k  17.9  36.1   14.4  31.7
    q4_k  11.8  24.3    9.5  22.4     iq1_m 17.6  34.5   15.7  31.3

With activations of 16 bits it does not pay: q6_k 31.5 and 77.5 in a loop, 36.1 and 100 so.
"""

from __future__ import annotations

import functools
from typing import Any

from ._jit import inline
from .block_products import Reading, float_adder, integer_adder
from .isa import ISA, NARROW
from .records import RECORD, Records
from .requests import FIRST, HERE, Requests
from .simd import store_part, store_rows, zeros
from .tape import Kernel
from .tiles.codes import TileFormat, made

# Rows that a kernel multiplies.
COUNTS = (1, 2, 3, 4) if NARROW else (1, 2, 3, 4, 8)
PARTS = 2  # per thread; 8 cost 8 to 20 % of a token


@inline
def store_tile(totals, address, stride, columns):
    """Write 16 columns of each row, or those that the last tile has."""
    if columns >= 16:
        store_rows(totals, address, stride)
    else:
        store_part(totals, address, stride, columns)


def direct(
    form: TileFormat, records: Records, held: int, requests: Requests, tiles: int = 1
) -> Any:
    """add(totals, (units, block), record, finer, asks): one block straight from one tile or two.

    `units` and `asks` are tuples of that length: where each tile's unit lies, and the two places
    that the block asks for.
    """
    integer = records is not Records.FLOATS
    unpack, code = made(form) if integer else (form.place, None)

    @inline
    def one_at(place):
        units, block = place
        return (unpack(units[0], block),)

    @inline
    def two_at(place):
        units, block = place
        return unpack(units[0], block), unpack(units[1], block)

    tiles_at = one_at if tiles == 1 else two_at
    if integer:
        return integer_adder(Reading(form, records, held), tiles_at, code, requests)
    return float_adder(tiles_at, form.reader, requests)


def beside_each_other(tiles: int) -> tuple[Any, Any]:
    """units(unit, beside) and asks(far, near, beside) of one tile or two."""

    @inline
    def one_unit(unit, beside):
        return (unit,)

    @inline
    def one_ask(far, near, beside):
        return ((far, near),)

    @inline
    def two_units(unit, beside):
        return unit, unit + beside

    @inline
    def two_asks(far, near, beside):
        return (far, near), (far + beside, near + beside)

    return (one_unit, one_ask) if tiles == 1 else (two_units, two_asks)


def blocks_together(form: TileFormat, records: Records, rows: int) -> int:
    """Blocks that are compiled one after the other; with words of x that is too much code."""
    beside = ISA == "avx2" and rows <= 4 and records is not Records.WORDS
    return form.interleaved if beside else 1


def one_after_another(add_block: Any, count: int, step: int) -> Any:
    """add(totals, ..., block): `count` blocks from `block` on, whose records are `step` apart."""
    if count == 1:
        return add_block
    others, last = one_after_another(add_block, count - 1, step), count - 1

    @inline
    def add(totals, unit, beside, record, finer, far, near, block):
        totals = others(totals, unit, beside, record, finer, far, near, block)
        at = record + last * step
        return add_block(totals, unit, beside, at, finer, far, near, block + last)

    return add


@functools.cache
def few_rows(form: TileFormat, records: Records, rows: int, stays: bool) -> Kernel:
    """The kernel for groups of `rows` rows, one of COUNTS."""
    held, unit_bytes, per_unit = held_rows(rows), form.unit_bytes, form.columns // 32
    step, tiles = records.step(held), tiles_at_once(form, rows)
    requests = Requests.of(form, rows, stays)
    add, size = direct(form, records, held, requests, tiles), requests.size
    ahead, again, ask = requests.far, requests.near, requests.ask
    (units_of, asks_of), count = beside_each_other(tiles), rows * tiles
    second, together = count - rows, blocks_together(form, records, rows)

    @inline
    def add_block(totals, unit, beside, record, finer, far, near, block):
        at = block * size
        asks = asks_of(far + at, near + at, beside)
        return add(totals, (units_of(unit, beside), block), record, finer, asks)

    add_blocks = one_after_another(add_block, together, step)

    @inline
    def add_products(unit, beside, record, units, finer):
        """Those of `tiles` tiles; beyond their ends requests skip what the other tile has."""
        totals, end = zeros(count), unit + units * unit_bytes
        for _ in range(units):
            far, near = unit + ahead, unit + again
            far += beside if far >= end else 0
            near += beside if near >= end else 0
            for run in range(per_unit // together):
                block = run * together
                totals = add_blocks(totals, unit, beside, record, finer, far, near, block)
                record += together * step
            unit += unit_bytes
        return totals

    @inline
    def store(totals, to, n, left, beside):
        store_tile(totals[:rows], to, 4 * n, left)
        if beside:
            store_tile(totals[second:], to + 64, 4 * n, left - 16)

    def body(part, parts, thread, weight, x, out, n, units, tile_count, groups):
        runs, tile_bytes = -(-tile_count // tiles), units * unit_bytes
        first, finer = runs * part // parts * tiles, units * per_unit * step
        for line in range(0, FIRST, 64):
            ask(weight + first * tile_bytes + line)
        for tile in range(first, min(tile_count, runs * (part + 1) // parts * tiles), tiles):
            beside = tile_bytes if tiles == 2 and tile + 1 < tile_count else 0
            unit, to = weight + tile * tile_bytes, out + 64 * tile
            for group in range(groups):
                record = x + group * units * per_unit * RECORD * held
                totals = add_products(unit, beside, record, units, finer)
                store(totals, to + 4 * held * group * n, n, n - 16 * tile, beside)

    name = f"matmul_{records.value}_{form.name}_{rows}{'_stays' if stays else ''}"
    return Kernel(name, body)


def held_rows(rows: int) -> int:
    """Rows that a record holds of which the first `rows` are multiplied."""
    return 1 if rows == 1 else 4 if rows <= 4 or NARROW else 8


def multiplied(rows: int) -> int:
    """Rows that a kernel for `rows` rows, of one group, multiplies: the next of COUNTS."""
    return next(count for count in COUNTS if count >= rows)


def tiles_at_once(form: TileFormat, rows: int) -> int:
    """Tiles that a pass over a group of `rows` rows takes."""
    small = rows == 1 and form.columns == 32
    return min(HERE.small if small else HERE.tiles, 2 if rows <= (2 if NARROW else 4) else 1)


def few_parts(tiles: int, threads: int) -> int:
    """Parts of a product of few rows."""
    return 1 if threads == 1 else min(tiles, PARTS * threads)
