"""Panels: a tile's blocks unpacked in a thread's scratch, for products that use them many times.

    integer   8 vectors of codes, then the scales, then the minimums
    float     32 columns of float32

Unpacking and adding give what they give straight from the tile (`few_rows.py`), so the bits are the
same.
"""

from __future__ import annotations

from typing import Any

from ._jit import inline
from .block_products import CODE_BYTES, Reading, float_adder, integer_adder, panel_reader
from .records import Records
from .simd import (
    load_f32x16,
    store_f32x16,
    store_i32x16,
    unrolled,
    vectors,
    void,
)
from .tiles.codes import TileFormat, whole


@unrolled(lambda address, count: vectors(count.literal_value), literal="count")
def block_vectors(address, count):
    return tuple(load_f32x16(address + 64 * i) for i in range(count))


def integer_parts(form: TileFormat, records: Records, rows: int) -> tuple[Any, Any, int]:
    """Store and add one block of the integer family, and the bytes it takes in a panel."""
    unpack, groups = form.unpack, form.groups
    lows = 0 if form.signed else groups

    @unrolled(lambda address, codes, scales, minimums: void)
    def store_block(address, codes, scales, minimums):
        for g in range(8):
            store_i32x16(address + 64 * g, form.code(codes, g))
        for i, vector in enumerate(scales + minimums):
            store_f32x16(address + CODE_BYTES + 64 * i, vector)

    @inline
    def store(unit, block, address):
        codes, scales, minimums = unpack(unit, block)
        store_block(address, codes, scales, minimums)

    @inline
    def tile_at(address):
        scales = block_vectors(address + CODE_BYTES, groups)
        minimums = block_vectors(address + CODE_BYTES + 64 * groups, lows)
        return (((address,), scales, minimums),)

    add = integer_adder(Reading(form, records, rows), tile_at, whole)
    return store, add, CODE_BYTES + 64 * (groups + lows)


def float_parts(form: TileFormat) -> tuple[Any, Any, int]:
    """The same of the float family."""
    place, reader = form.place, form.reader

    @unrolled(lambda address, tile: void)
    def store_columns(address, tile):
        read = reader(tile)
        for c in range(32):
            store_f32x16(address + 64 * c, read(c))

    @inline
    def store(unit, block, address):
        store_columns(address, place(unit, block))

    @inline
    def tile_at(address):
        return (address,)

    return store, float_adder(tile_at, panel_reader), 2048


def panel_parts(form: TileFormat, records: Records, rows: int) -> tuple[Any, Any, int]:
    """Those of the family that is meant."""
    if records is Records.FLOATS:
        return float_parts(form)
    return integer_parts(form, records, rows)


def panel_block_bytes(form: TileFormat, records: Records) -> int:
    """Bytes of 32 columns of 16 rows, unpacked."""
    if records is Records.FLOATS:
        return 2048
    return CODE_BYTES + 64 * form.groups * (1 if form.signed else 2)
