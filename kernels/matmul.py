"""Matrix product: out[row, n] = sum over k of x[row, k] * weight[n, k], weights packed in tiles.

Two kernel families serve every type. Integer: x is rounded to 8 bits per 32 columns
(`activations.py`), products are summed exactly in 32 bits, then scaled. Float: weights are
dequantised in registers. In both, a block of 32 columns is summed first and blocks are added in
order, for each output by itself; so one row and 512 rows, one thread and many give the same bits.

Few rows take the weights from tile to register, anew for each 8 rows while a tile is in the cache.
Many rows unpack a few tiles to a panel in the thread's scratch and pass 8 rows at a time over it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .activations import LEVEL, RECORD
from .pool import Pool
from .simd import (
    dot4,
    fma,
    isplat,
    load_f32,
    load_f32x16,
    load_first,
    load_i32,
    load_i32x16,
    shift_left,
    shift_right,
    splat,
    store_f32x16,
    store_i32x16,
    store_part,
    store_rows,
    to_f32,
    unrolled,
    vectors,
    void,
    zeros,
)
from .tape import Kernel, Tape
from .tiles.codes import CODES, TileFormat
from .tiles.floats import COLUMNS
from .tiles.lanes import prefetch, prefetch_bytes
from .tiles.pack import tile_count

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# Rows up to which weights go straight from tile to register: 16 rows of q4_0, 8192 x 2048, take
# 0.43 ms for 0.78 by panels, 32 rows 0.81 for 1.20, 64 of q6_k as long.
FEW = 32
PARTS = 2  # per thread, of a product of few rows; 8 cost 8 to 20 % of a token
PANEL_TILES = 4
PANEL_BYTES = 512 * 1024  # per thread: half of a usual second-level cache
NO_SHIFT = -1
CHUNK = 1 << 22
AHEAD = 8192  # bytes from use to request; 12288 takes 1 to 4 % longer, 4096 up to 14 %
FIRST = 4096  # bytes that a part asks for before it starts


@dataclass(frozen=True)
class Tiles:
    """A weight [rows, columns] packed in tiles."""

    format: TileFormat
    data: NDArray[np.uint8]
    rows: int
    columns: int

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


# --- one block of 32 columns ----------------------------------------------------------------------


@unrolled(lambda totals, *rest: totals, literal="shift")
def add_integer_block(totals, codes, scales, minimums, shift, record):
    """totals + the block's products; the record of len(totals) rows is laid out in
    `activations.py`.
    """
    rows, groups = len(totals), len(scales)
    numbers = record + 32 * rows
    out = []
    for i, total in enumerate(totals):
        scale_x = splat(load_f32(numbers + 4 * i))
        for group, scale in enumerate(scales):
            field = 1 + (groups == 2) * (1 + group)
            count = isplat(0)
            if shift != NO_SHIFT:
                count = shift_left(isplat(load_i32(numbers + 4 * (field * rows + i))), shift)
            for g in range(8 * group // groups, 8 * (group + 1) // groups):
                count = dot4(count, codes[g], isplat(load_i32(record + 32 * i + 4 * g)))
            total = fma(to_f32(count), scale * scale_x, total)
        for group, minimum in enumerate(minimums):
            field = 4 + (groups == 2) * (1 + group)
            total = fma(minimum, splat(load_f32(numbers + 4 * (field * rows + i))), total)
        out.append(total)
    return tuple(out)


@inline
def add_levels(totals, codes, scales, minimums, shift, record):
    """The block's products at the first level, and at the second if the record has one."""
    rows = len(totals)
    totals = add_integer_block(totals, codes, scales, minimums, shift, record)
    if load_i32(record + 60 * rows):
        finer = record + LEVEL * rows
        totals = add_integer_block(totals, codes, scales, minimums, shift, finer)
    return totals


@unrolled(lambda totals, columns, record: totals)
def add_float_block(totals, columns, record):
    """totals + the block's products, even and odd columns apart; record: float32 [rows, 32]."""
    parts = [[splat(0.0), splat(0.0)] for _ in totals]
    for c, column in enumerate(columns):
        for i, part in enumerate(parts):
            part[c & 1] = fma(splat(load_f32(record + 128 * i + 4 * c)), column, part[c & 1])
    return tuple(total + (even + odd) for total, (even, odd) in zip(totals, parts, strict=True))


@unrolled(lambda *given: COLUMNS, literal="shift")
def dequantised(codes, scales, minimums, shift):
    """The 32 columns' weights: each product rounded, then the minimum subtracted."""
    out = []
    for c in range(32):
        code = shift_right(codes[c >> 2], 8 * (c & 3)) & 255
        if shift != NO_SHIFT:
            code = code - (1 << shift)
        group = c * len(scales) // 32
        weight = to_f32(code) * scales[group]
        out.append(weight - minimums[group] if minimums else weight)
    return tuple(out)


@inline
def store_tile(totals, address, stride, columns):
    """Write 16 columns of each row, or those that the last tile has."""
    if columns >= 16:
        store_rows(totals, address, stride)
    else:
        store_part(totals, address, stride, columns)


@unrolled(lambda address, stride, columns, rows: vectors(rows.literal_value), literal="rows")
def load_tile(address, stride, columns, rows):
    """What `store_tile` wrote."""
    return tuple(load_first(address + i * stride, columns) for i in range(rows))


# --- panels: a unit's blocks unpacked in the thread's scratch -------------------------------------


@unrolled(lambda address, codes, scales, minimums: void)
def store_block(address, codes, scales, minimums):
    for g, code in enumerate(codes):
        store_i32x16(address + 64 * g, code)
    for i, vector in enumerate(scales + minimums):
        store_f32x16(address + 512 + 64 * i, vector)


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


def integer_parts(form: TileFormat) -> tuple[Any, Any, int]:
    """Store and add one block of the integer family, and the bytes it takes in a panel."""
    shift = NO_SHIFT if form.shift is None else form.shift
    groups, lows = form.groups, form.groups if form.shift is None else 0
    unpack = form.unpack

    @inline
    def store(unit, block, address):
        codes, scales, minimums = unpack(unit, block)
        store_block(address, codes, scales, minimums)

    @inline
    def add(totals, address, record):
        codes, scales = block_codes(address), block_vectors(address + 512, groups)
        minimums = block_vectors(address + 512 + 64 * groups, lows)
        return add_levels(totals, codes, scales, minimums, shift, record)

    return store, add, 512 + 64 * (groups + lows)


def _float_columns(form: TileFormat) -> Any:
    if not form.integer:
        columns_of = form.columns_of
        return inline(lambda unit, block: columns_of(unit))
    unpack, shift = form.unpack, NO_SHIFT if form.shift is None else form.shift

    @inline
    def columns(unit, block):
        codes, scales, minimums = unpack(unit, block)
        return dequantised(codes, scales, minimums, shift)

    return columns


def float_parts(form: TileFormat) -> tuple[Any, Any, int]:
    columns = _float_columns(form)

    @inline
    def store(unit, block, address):
        store_columns(address, columns(unit, block))

    @inline
    def add(totals, address, record):
        return add_float_block(totals, panel_columns(address), record)

    return store, add, 2048


def direct(form: TileFormat, integer: bool) -> Any:
    """Add one block straight from a tile's unit."""
    if integer:
        unpack, shift = form.unpack, NO_SHIFT if form.shift is None else form.shift

        @inline
        def add(totals, unit, block, record):
            codes, scales, minimums = unpack(unit, block)
            return add_levels(totals, codes, scales, minimums, shift, record)

        return add
    columns = _float_columns(form)
    return inline(
        lambda totals, unit, block, record: add_float_block(totals, columns(unit, block), record)
    )


@functools.cache
def few_rows(form: TileFormat, integer: bool, rows: int) -> Kernel:
    """The kernel for groups of up to `rows` (1, 4 or 8) rows."""
    add, unit_bytes, per_unit = direct(form, integer), form.unit_bytes, form.columns // 32
    record_bytes, share = RECORD * rows, -(-form.unit_bytes // per_unit)

    def body(part, parts, thread, tiles, x, out, n, units, tile_count, groups):
        first, tile_bytes = tile_count * part // parts, units * unit_bytes
        for line in range(0, FIRST, 64):
            prefetch(tiles + first * tile_bytes + line)
        for tile in range(first, tile_count * (part + 1) // parts):
            record = x
            for group in range(groups):
                unit, totals = tiles + tile * tile_bytes, zeros(rows)
                for _ in range(units):
                    for block in range(per_unit):
                        prefetch_bytes(unit + AHEAD + block * share, share)
                        totals = add(totals, unit, block, record)
                        record += record_bytes
                    unit += unit_bytes
                to = out + 4 * rows * group * n + 64 * tile
                store_tile(totals, to, 4 * n, n - 16 * tile)

    return Kernel(f"matmul_{'int8' if integer else 'float'}_{form.name}_{rows}", body)


@functools.cache
def many_rows(form: TileFormat, integer: bool) -> Kernel:
    """The kernel for any number of rows, in groups of 8."""
    store, add, block_bytes = (integer_parts if integer else float_parts)(form)
    unit_bytes, per_unit = form.unit_bytes, form.columns // 32
    record_bytes = RECORD * 8

    @inline
    def unpack_tile(unit, end, panel):
        while unit < end:
            for block in range(per_unit):
                store(unit, block, panel)
                panel += block_bytes
            unit += unit_bytes

    @inline
    def pass_over(totals, panel, record, blocks):
        for _ in range(blocks):
            totals = add(totals, panel, record)
            panel += block_bytes
            record += record_bytes
        return totals

    def body(
        part, parts, thread, tiles, x, out, n, units, tile_count, groups, scratch, stride, at_once,
        units_at_once,
    ):  # fmt: skip
        panels, end = scratch + thread * stride, tile_count * (part + 1) // parts
        for tile in range(tile_count * part // parts, end, at_once):
            count = min(at_once, end - tile)
            for first in range(0, units, units_at_once):
                last = min(units, first + units_at_once)
                blocks = (last - first) * per_unit
                for t in range(count):
                    start = tiles + (tile + t) * units * unit_bytes
                    panel = panels + t * blocks * block_bytes
                    unpack_tile(start + first * unit_bytes, start + last * unit_bytes, panel)
                for group in range(groups):
                    record = x + (group * units + first) * per_unit * record_bytes
                    for t in range(count):
                        to = out + 32 * group * n + 64 * (tile + t)
                        left = min(16, n - 16 * (tile + t))
                        totals = zeros(8) if first == 0 else load_tile(to, 4 * n, left, 8)
                        panel = panels + t * blocks * block_bytes
                        store_tile(pass_over(totals, panel, record, blocks), to, 4 * n, left)

    return Kernel(f"matmul_{'int8' if integer else 'float'}_{form.name}_many", body)


def panel_block_bytes(form: TileFormat, integer: bool) -> int:
    """Bytes of 32 columns of 16 rows, unpacked."""
    if not integer:
        return 2048
    return 512 + 64 * form.groups * (2 if form.shift is None else 1)


def rows_at_once(rows: int) -> int:
    """Rows that one pass over the weights serves: 1, 4 or 8."""
    return 1 if rows == 1 else 4 if rows <= 4 else 8


def emit_matmul(
    tape: Tape, pool: Pool, weight: Tiles, record: Any, rows: int, integer: bool, threads: int
) -> F32:
    """Record the product with prepared activations; returns its result [rows, weight.rows]."""
    at_once, tiles = rows_at_once(rows), tile_count(weight.rows)
    groups = -(-rows // at_once)
    out = pool.take((groups * at_once, weight.rows))
    values = [weight.data, record, out, weight.rows, weight.units, tiles]
    if rows <= FEW:
        parts = few_parts(tiles, threads)
        kernel = few_rows(weight.format, integer, at_once)
        tape.emit(kernel, parts, [*values, groups], [record], [out])
        return out[:rows]
    unit = panel_block_bytes(weight.format, integer) * (weight.format.columns // 32)
    passes = -(-PANEL_TILES * weight.units * unit // PANEL_BYTES)
    units = -(-weight.units // max(1, passes))
    scratch = pool.take((threads, PANEL_TILES * units * unit), np.uint8)
    values += [groups, scratch, scratch.strides[0], PANEL_TILES, units]
    parts = min(tiles, 16 * threads)
    tape.emit(many_rows(weight.format, integer), parts, values, [record], [out, scratch])
    return out[:rows]


def few_parts(tiles: int, threads: int) -> int:
    """Parts of a product of few rows."""
    return 1 if threads == 1 else min(tiles, PARTS * threads)
