"""Matrix product: out[row, n] = sum over k of x[row, k] * weight[n, k], weights packed in tiles.

Two kernel families serve every type. Integer: x is rounded to 8 bits per 32 columns, or to 16
(`records.py`), products are summed exactly in 32 bits, then scaled. Float: weights are
dequantised in registers. In both, a block of 32 columns is summed first and blocks are added in
order, for each output by itself; so one row and 512 rows, one thread and many give the same bits.

Few rows take the weights from tile to register (`few_rows.py`). Many rows unpack a few tiles to
panels in the thread's scratch (`panels.py`) and pass 4 rows at a time over two, while the next 4
are asked for. With 16 registers F16 does without panels: they are twice as large as its tiles,
which is what bounds it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .block_products import PAIR_ROWS, pair_adder
from .few_rows import few_parts, few_rows, held_rows, multiplied, store_tile, tiles_at_once
from .isa import AMD, NARROW
from .panels import panel_block_bytes, panel_parts
from .pool import Pool
from .records import RECORD, Records
from .requests import Requests
from .simd import load_first, unrolled, vectors, zeros
from .tape import Kernel, Tape
from .tiles.codes import TileFormat
from .tiles.lanes import prefetch_second
from .tiles.pack import tile_count

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
# Rows up to which weights go straight from tile to register: a step of 24 rows of a 1.07B model
# takes 48 ms for 60 by panels (q6_k 61 for 68), one of 32 rows 63 for 74 (q6_k 81 for 82). With 16
# registers, where 8 rows are twice 4: 8 rows 75 for 91, 16 rows 145 for 147, 32 rows 287 for 264.
FEW = 16 if NARROW else 32
# An even number; 8 gives 1 to 4 % on Intel; 2 gives up to 27 % on Zen 3, whose loops are narrow.
PANEL_TILES = 2 if NARROW else 4 if AMD else 8
# Per thread: half of a usual second-level cache; a quarter is 5 % faster for floats on Zen 3.
PANEL_BYTES, FLOAT_PANEL_BYTES = (256 << 10, 128 << 10) if NARROW else (512 << 10, 512 << 10)
STRAIGHT = ("f16",) if NARROW else ()  # without panels: 1.17 times as fast on Zen 3
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


@unrolled(lambda *given: vectors(2 * PAIR_ROWS))
def load_pair(address, stride, near, far):
    """What `store_tile` wrote of the columns of two tiles."""
    tiles = [load_first(address + i * stride, near) for i in range(PAIR_ROWS)]
    return (*tiles, *[load_first(address + 64 + i * stride, far) for i in range(PAIR_ROWS)])


# --- kernels --------------------------------------------------------------------------------------


@functools.cache
def many_rows(form: TileFormat, records: Records) -> Kernel:
    """The kernel for any number of rows, in groups of PAIR_ROWS."""
    store, _, block_bytes = panel_parts(form, records, PAIR_ROWS)
    add, step, pair = pair_adder(form, records), records.step(PAIR_ROWS), 2 * PAIR_ROWS
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
    def add_products(near, size, record, blocks, finer, to, n, left, more, ahead, lines):
        """Those of two tiles, or of one where `left` columns need no second, to what is there.

        With each block `lines` of the next group's record are asked for, from `ahead` on.
        """
        far, beside = near + size if left > 16 else near, max(0, min(16, left - 16))
        totals = zeros(pair)
        if more:
            totals = load_pair(to, 4 * n, min(16, left), beside)
        for _ in range(blocks):
            for line in range(lines):
                prefetch_second(ahead + 64 * line)
            ahead += 64 * lines
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
            for some in range(-(-units // units_at_once)):
                unit = some * units_at_once
                blocks = min(units_at_once, units - unit) * per_unit
                size = blocks * block_bytes
                for t in range(count):
                    start = tiles + ((tile + t) * units + unit) * unit_bytes
                    unpack_units(start, blocks // per_unit, panels + t * size)
                lines = max(1, step // (32 * count))
                for group in range(groups):
                    record = x + group * group_bytes + unit * per_unit * step
                    to = out + 4 * PAIR_ROWS * group * n
                    for t in range(0, count, 2):
                        first = 16 * (tile + t)
                        near, left = panels + t * size, n - first
                        ahead = record + group_bytes + 32 * lines * blocks * t
                        add_products(
                            near, size, record, blocks, finer, to + 4 * first, n, left, unit > 0,
                            ahead, lines,
                        )  # fmt: skip

    return Kernel(f"matmul_{records.value}_{form.name}_many", body)


def rows_at_once(rows: int) -> int:
    """Rows that a record holds: 1, 4 or 8 of few, PAIR_ROWS of many."""
    return PAIR_ROWS if rows > FEW else held_rows(rows)


def _straight(weight: Tiles, rows: int) -> bool:
    """Whether weights go from tile to register: for few rows, or if a tile stays in a cache."""
    tile_bytes = weight.units * weight.format.unit_bytes
    return rows <= FEW or (weight.format.name in STRAIGHT and tile_bytes <= PANEL_BYTES)


def emit_matmul(
    tape: Tape, pool: Pool, weight: Tiles, record: Any, rows: int, records: Records, threads: int
) -> F32:
    """Record the product with prepared activations; returns its result [rows, weight.rows]."""
    at_once, tiles = rows_at_once(rows), tile_count(weight.rows)
    groups = -(-rows // at_once)
    out = pool.take((groups * at_once, weight.rows))
    values = [weight.data, record, out, weight.rows, weight.units, tiles]
    if _straight(weight, rows):
        count = multiplied(rows) if groups == 1 else at_once
        runs = -(-tiles // tiles_at_once(weight.format, count))
        parts = few_parts(runs, threads) if rows <= FEW else min(runs, 16 * threads)
        # What several groups read must stay until the last has.
        kernel = few_rows(weight.format, records, count, weight.stays or groups > 1)
        tape.emit(kernel, parts, [*values, groups], [record], [out])
        return out[:rows]
    together = PANEL_TILES if tiles >= 2 * PANEL_TILES * threads else 2
    unit = panel_block_bytes(weight.format, records) * (weight.format.columns // 32)
    most = FLOAT_PANEL_BYTES if records is Records.FLOATS else PANEL_BYTES
    passes = -(-together * weight.units * unit // most)
    units = -(-weight.units // max(1, passes))
    scratch = pool.take((threads, together * units * unit), np.uint8)
    values += [groups, scratch, scratch.strides[0], together, units]
    parts = min(-(-tiles // together), 16 * threads)
    tape.emit(many_rows(weight.format, records), parts, values, [record], [out, scratch])
    return out[:rows]
