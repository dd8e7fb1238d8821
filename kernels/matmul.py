"""Matrix product: out[row, n] = sum over k of x[row, k] * weight[n, k], weights packed in tiles.

Two kernel families serve every type. Integer: x is rounded to 8 bits per 32 columns
(`activations.py`), products are summed exactly in 32 bits, then scaled. Float: weights are
dequantised in registers. In both, a block of 32 columns is summed first and blocks are added in
order, for each output by itself; so one row and 512 rows, one thread and many give the same bits.

Few rows take the weights from tile to register, anew for each 8 rows while a tile is in the cache.
Many rows unpack a few tiles to panels in the thread's scratch and pass 4 rows at a time over two.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .activations import LEVEL, RECORD
from .block_products import (
    CODE_BYTES,
    PAIR_ROWS,
    dequantised,
    float_adder,
    integer_adder,
    pair_adder,
)
from .pool import Pool
from .requests import FIRST, Requests
from .simd import (
    load_f32x16,
    load_first,
    load_i32x16,
    store_f32x16,
    store_i32x16,
    store_part,
    store_rows,
    unrolled,
    vectors,
    void,
    zeros,
)
from .tape import Kernel, Tape
from .tiles.codes import CODES, TileFormat
from .tiles.floats import COLUMNS
from .tiles.pack import tile_count

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# Rows up to which weights go straight from tile to register: a step of 24 rows of a 1.07B model
# takes 48 ms for 60 by panels (q6_k 61 for 68), one of 32 rows 63 for 74 (q6_k 81 for 82).
FEW = 32
PARTS = 2  # per thread, of a product of few rows; 8 cost 8 to 20 % of a token
PANEL_TILES = 4  # an even number
PANEL_BYTES = 512 * 1024  # per thread: half of a usual second-level cache
CHUNK = 1 << 22


@dataclass(frozen=True)
class Tiles:
    """A weight [rows, columns] packed in tiles; `stays` is for the last cache, `residence.py`."""

    format: TileFormat
    data: NDArray[np.uint8]
    rows: int
    columns: int
    stays: bool = True

    @property
    def units(self) -> int:
        return -(-self.columns // self.format.columns)

    @property
    def blocks(self) -> int:
        """Blocks of 32 columns, those that only fill the last unit included."""
        return self.units * self.format.columns // 32


def matmul_ref(weight: F32, x: F64, out: F64) -> None:
    """weight [n, k], x [rows, k] -> out [rows, n]: one sum per output, however many rows."""
    step = max(1, CHUNK // max(1, weight.shape[1]))
    for start in range(0, len(weight), step):
        some = weight[start : start + step].astype(np.float64)
        for row, into in zip(x, out, strict=True):
            np.einsum("nk,k->n", some, row, out=into[start : start + step])


# --- results --------------------------------------------------------------------------------------


@inline
def store_tile(totals, address, stride, columns):
    """Write 16 columns of each row, or those that the last tile has."""
    if columns >= 16:
        store_rows(totals, address, stride)
    else:
        store_part(totals, address, stride, columns)


@unrolled(lambda *given: vectors(2 * PAIR_ROWS))
def load_pair(address, stride, near, far):
    """What `store_tile` wrote of the columns of two tiles."""
    tiles = [load_first(address + i * stride, near) for i in range(PAIR_ROWS)]
    return (*tiles, *[load_first(address + 64 + i * stride, far) for i in range(PAIR_ROWS)])


# --- panels: a unit's blocks unpacked in the thread's scratch -------------------------------------


@unrolled(lambda address, codes, scales, minimums: void)
def store_block(address, codes, scales, minimums):
    for g, code in enumerate(codes):
        store_i32x16(address + 64 * g, code)
    for i, vector in enumerate(scales + minimums):
        store_f32x16(address + CODE_BYTES + 64 * i, vector)


@unrolled(lambda address: CODES)
def block_codes(address):
    return tuple(load_i32x16(address + 64 * g) for g in range(8))


@unrolled(lambda address, count: vectors(count.literal_value), literal="count")
def block_vectors(address, count):
    return tuple(load_f32x16(address + 64 * i) for i in range(count))


@unrolled(lambda address, columns: void)
def store_columns(address, columns):
    for c, column in enumerate(columns):
        store_f32x16(address + 64 * c, column)


@unrolled(lambda address: COLUMNS)
def panel_columns(address):
    return tuple(load_f32x16(address + 64 * c) for c in range(32))


# --- kernels --------------------------------------------------------------------------------------


def integer_parts(form: TileFormat, rows: int) -> tuple[Any, Any, int]:
    """Store and add one block of the integer family, and the bytes it takes in a panel."""
    unpack, groups = form.unpack, form.groups
    lows = 0 if form.signed else groups

    @inline
    def store(unit, block, address):
        codes, scales, minimums = unpack(unit, block)
        store_block(address, codes, scales, minimums)

    @inline
    def tile_at(address):
        codes, scales = block_codes(address), block_vectors(address + CODE_BYTES, groups)
        return ((codes, scales, block_vectors(address + CODE_BYTES + 64 * groups, lows)),)

    add = integer_adder(form.signed, rows, tile_at)
    return store, add, CODE_BYTES + 64 * (groups + lows)


def _float_columns(form: TileFormat) -> Any:
    if not form.integer:
        columns_of = form.columns_of
        return inline(lambda unit, block: columns_of(unit))
    unpack, signed = form.unpack, int(form.signed)

    @inline
    def columns(unit, block):
        codes, scales, minimums = unpack(unit, block)
        return dequantised(codes, scales, minimums, signed)

    return columns


def float_parts(form: TileFormat, rows: int) -> tuple[Any, Any, int]:
    columns = _float_columns(form)

    @inline
    def store(unit, block, address):
        store_columns(address, columns(unit, block))

    @inline
    def tile_at(address):
        return (panel_columns(address),)

    return store, float_adder(tile_at), 2048


def direct(form: TileFormat, integer: bool, rows: int, requests: Requests, tiles: int = 1) -> Any:
    """add(totals, (units, block), record, finer, asks): one block straight from one tile or two.

    `units` and `asks` are tuples of that length: where each tile's unit lies, and the two places
    that the block asks for.
    """
    unpack = form.unpack if integer else _float_columns(form)

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
        return integer_adder(form.signed, rows, tiles_at, requests)
    return float_adder(tiles_at, requests)


def step_bytes(integer: bool, rows: int) -> int:
    """From a block's record to the next one's; those of the second level follow the first's."""
    return (LEVEL if integer else RECORD) * rows


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


@functools.cache
def few_rows(form: TileFormat, integer: bool, rows: int, stays: bool) -> Kernel:
    """The kernel for groups of up to `rows` (1, 4 or 8) rows."""
    unit_bytes, per_unit, step = form.unit_bytes, form.columns // 32, step_bytes(integer, rows)
    requests, tiles = Requests(form.block_bytes, rows, stays), tiles_at_once(rows)
    add, size = direct(form, integer, rows, requests, tiles), requests.size
    ahead, again, ask = requests.far, requests.near, requests.ask
    (units_of, asks_of), count = beside_each_other(tiles), rows * tiles
    second = count - rows

    @inline
    def add_products(unit, beside, record, units, finer):
        """Those of `tiles` tiles; beyond their ends requests skip what the other tile has."""
        totals, end = zeros(count), unit + units * unit_bytes
        for _ in range(units):
            far, near = unit + ahead, unit + again
            far += beside if far >= end else 0
            near += beside if near >= end else 0
            for block in range(per_unit):
                at = block * size
                asks = asks_of(far + at, near + at, beside)
                place = units_of(unit, beside), block
                totals = add(totals, place, record, finer, asks)
                record += step
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
                record = x + group * units * per_unit * RECORD * rows
                totals = add_products(unit, beside, record, units, finer)
                store(totals, to + 4 * rows * group * n, n, n - 16 * tile, beside)

    name = f"matmul_{'int8' if integer else 'float'}_{form.name}_{rows}{'_stays' if stays else ''}"
    return Kernel(name, body)


@functools.cache
def many_rows(form: TileFormat, integer: bool) -> Kernel:
    """The kernel for any number of rows, in groups of PAIR_ROWS."""
    store, _, block_bytes = (integer_parts if integer else float_parts)(form, PAIR_ROWS)
    add, step, pair = pair_adder(form, integer), step_bytes(integer, PAIR_ROWS), 2 * PAIR_ROWS
    unit_bytes, per_unit, size = form.unit_bytes, form.columns // 32, form.block_bytes
    ask = Requests(size, PAIR_ROWS, stays=False).whole()

    @inline
    def unpack_units(unit, count, panel):
        for _ in range(count):
            for block in range(per_unit):
                ask(unit + block * size)
                store(unit, block, panel)
                panel += block_bytes
            unit += unit_bytes

    @inline
    def add_products(near, size, record, blocks, finer, to, n, left, more):
        """Those of two tiles, or of one where `left` columns need no second, to what is there."""
        far, beside = near + size if left > 16 else near, max(0, min(16, left - 16))
        totals = zeros(pair)
        if more:
            totals = load_pair(to, 4 * n, min(16, left), beside)
        for _ in range(blocks):
            totals = add(totals, near, far, record, finer)
            near += block_bytes
            far += block_bytes
            record += step
        store_tile(totals[:PAIR_ROWS], to, 4 * n, left)
        if beside:
            store_tile(totals[PAIR_ROWS:], to + 64, 4 * n, beside)

    def body(
        part, parts, thread, tiles, x, out, n, units, tile_count, groups, scratch, stride, at_once,
        units_at_once,
    ):  # fmt: skip
        panels, runs = scratch + thread * stride, -(-tile_count // at_once)
        finer, group_bytes = units * per_unit * step, units * per_unit * RECORD * PAIR_ROWS
        for run in range(runs * part // parts, runs * (part + 1) // parts):
            tile = run * at_once
            count = min(at_once, tile_count - tile)
            for unit in range(0, units, units_at_once):
                blocks = min(units_at_once, units - unit) * per_unit
                size = blocks * block_bytes
                for t in range(count):
                    start = tiles + ((tile + t) * units + unit) * unit_bytes
                    unpack_units(start, blocks // per_unit, panels + t * size)
                for group in range(groups):
                    record = x + group * group_bytes + unit * per_unit * step
                    to = out + 4 * PAIR_ROWS * group * n
                    for t in range(0, count, 2):
                        first = 16 * (tile + t)
                        near, left = panels + t * size, n - first
                        add_products(
                            near, size, record, blocks, finer, to + 4 * first, n, left, unit > 0
                        )

    return Kernel(f"matmul_{'int8' if integer else 'float'}_{form.name}_many", body)


def panel_block_bytes(form: TileFormat, integer: bool) -> int:
    """Bytes of 32 columns of 16 rows, unpacked."""
    if not integer:
        return 2048
    return CODE_BYTES + 64 * form.groups * (1 if form.signed else 2)


def rows_at_once(rows: int) -> int:
    """Rows that one pass over the weights serves: 1, 4 or 8 of few, PAIR_ROWS of many."""
    if rows > FEW:
        return PAIR_ROWS
    return 1 if rows == 1 else 4 if rows <= 4 else 8


def tiles_at_once(rows: int) -> int:
    """Tiles that a pass over few rows takes: two share the loads of x, if registers suffice."""
    return 1 if rows > 4 else 2


def emit_matmul(
    tape: Tape, pool: Pool, weight: Tiles, record: Any, rows: int, integer: bool, threads: int
) -> F32:
    """Record the product with prepared activations; returns its result [rows, weight.rows]."""
    at_once, tiles = rows_at_once(rows), tile_count(weight.rows)
    groups = -(-rows // at_once)
    out = pool.take((groups * at_once, weight.rows))
    values = [weight.data, record, out, weight.rows, weight.units, tiles]
    if rows <= FEW:
        parts = few_parts(-(-tiles // tiles_at_once(at_once)), threads)
        # What several groups read must stay until the last has.
        kernel = few_rows(weight.format, integer, at_once, weight.stays or groups > 1)
        tape.emit(kernel, parts, [*values, groups], [record], [out])
        return out[:rows]
    together = PANEL_TILES if tiles >= 2 * PANEL_TILES * threads else 2
    unit = panel_block_bytes(weight.format, integer) * (weight.format.columns // 32)
    passes = -(-together * weight.units * unit // PANEL_BYTES)
    units = -(-weight.units // max(1, passes))
    scratch = pool.take((threads, together * units * unit), np.uint8)
    values += [groups, scratch, scratch.strides[0], together, units]
    parts = min(-(-tiles // together), 16 * threads)
    tape.emit(many_rows(weight.format, integer), parts, values, [record], [out, scratch])
    return out[:rows]


def few_parts(tiles: int, threads: int) -> int:
    """Parts of a product of few rows."""
    return 1 if threads == 1 else min(tiles, PARTS * threads)
