"""Pack rows of GGUF blocks: tile[unit][field][element][row] = block[row][unit][field][element].

A tile holds 16 rows; a unit is 32 columns of them (256 for types with super-blocks). Within a unit
every field of the block is transposed, so that one vector load gives the same four bytes (or the
same scale) of 16 rows. Nothing is re-rounded and nothing grows: a tile takes the bytes of its 16
rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._jit import inline
from ..simd import (
    isplat,
    load_i64,
    load_u8,
    shift_right,
    store_i8x16,
    store_i16x16,
    store_i32x16,
    store_u8,
)
from ..tape import kernel
from .lanes import load_column, load_column_8, load_column_16, load_columns

U8 = NDArray[np.uint8]
ROWS = 16


@dataclass(frozen=True)
class Field:
    """`count` elements of `size` bytes at `offset` of a block; `flip` is xored into each byte."""

    offset: int
    count: int
    size: int
    flip: int = 0


def unit_bytes(fields: tuple[Field, ...]) -> int:
    """Bytes of one unit of one tile."""
    return ROWS * sum(field.count * field.size for field in fields)


def tile_count(rows: int) -> int:
    """Tiles that hold `rows` rows; the last one is filled up with zero bytes."""
    return -(-rows // ROWS)


def pack_ref(blocks: U8, fields: tuple[Field, ...]) -> U8:
    """blocks [rows, units, block bytes] -> tiles [tiles, units, unit bytes]."""
    rows, units, size = blocks.shape
    filled = np.zeros((tile_count(rows) * ROWS, units, size), np.uint8)
    filled[:rows] = blocks
    lanes = filled.reshape(-1, ROWS, units, size).transpose(0, 2, 1, 3)
    parts = []
    for field in fields:
        raw = lanes[..., field.offset : field.offset + field.count * field.size] ^ np.uint8(
            field.flip
        )
        raw[-1, :, rows - tile_count(rows) * ROWS + ROWS :] = 0
        split = raw.reshape(*raw.shape[:3], field.count, field.size).transpose(0, 1, 3, 2, 4)
        parts.append(split.reshape(len(lanes), units, -1))
    return np.concatenate(parts, axis=-1)


def field_table(fields: tuple[Field, ...]) -> NDArray[np.int64]:
    """The fields as the kernel reads them: offset, count, size, flip four times; int64 [n, 4]."""
    rows = [(f.offset, f.count, f.size, f.flip * 0x01010101) for f in fields]
    return np.array(rows, np.int64)


# --- kernel ---------------------------------------------------------------------------------------


@inline
def transpose_words(source, stride, count, flip, to):
    """Write word e of each of 16 rows side by side."""
    e = 0
    while e + 4 <= count:
        a, b, c, d = load_columns(source + 4 * e, stride)
        store_i32x16(to + 64 * e, a ^ flip)
        store_i32x16(to + 64 * e + 64, b ^ flip)
        store_i32x16(to + 64 * e + 128, c ^ flip)
        store_i32x16(to + 64 * e + 192, d ^ flip)
        e += 4
    while e < count:
        store_i32x16(to + 64 * e, load_column(source + 4 * e, stride) ^ flip)
        e += 1


@inline
def split_word(word, size, to):
    """Write the two or four numbers of each lane in vectors of their own."""
    if size == 2:
        store_i16x16(to, word)
        store_i16x16(to + 32, shift_right(word, 16))
    else:
        for k in range(4):
            store_i8x16(to + 16 * k, shift_right(word, 8 * k))


@inline
def transpose_parts(source, stride, count, size, flip, to):
    """Write element e, of one or two bytes, of each of 16 rows side by side; words first."""
    per_word = 4 // size
    words = count // per_word
    change = isplat(flip)
    e = 0
    while e + 4 <= words:
        a, b, c, d = load_columns(source + 4 * e, stride)
        split_word(a ^ change, size, to + 64 * e)
        split_word(b ^ change, size, to + 64 * e + 64)
        split_word(c ^ change, size, to + 64 * e + 128)
        split_word(d ^ change, size, to + 64 * e + 192)
        e += 4
    while e < words:
        split_word(load_column(source + 4 * e, stride) ^ change, size, to + 64 * e)
        e += 1
    for left in range(per_word * words, count):
        if size == 2:
            number = load_column_16(source + 2 * left, stride) ^ change
            store_i16x16(to + 32 * left, number)
        else:
            store_i8x16(to + 16 * left, load_column_8(source + left, stride) ^ change)


@inline
def transpose_some(source, stride, rows, count, size, flip, to):
    """The same byte by byte; rows that are not there are zero."""
    change = flip & 255
    for e in range(count):
        for row in range(16):
            for k in range(size):
                byte = load_u8(source + row * stride + size * e + k) ^ change if row < rows else 0
                store_u8(to + (e * 16 + row) * size + k, byte)


@kernel("pack")
def pack(part, parts, thread, blocks, tiles, table, fields, rows, units, block_bytes, unit_bytes):
    """blocks [rows, units, block bytes] -> tiles; cut by tiles."""
    tile_count, stride = (rows + 15) // 16, units * block_bytes
    for tile in range(tile_count * part // parts, tile_count * (part + 1) // parts):
        valid = min(16, rows - 16 * tile)
        for unit in range(units):
            to = tiles + (tile * units + unit) * unit_bytes
            for f in range(fields):
                offset, count = load_i64(table + 32 * f), load_i64(table + 32 * f + 8)
                size, change = load_i64(table + 32 * f + 16), load_i64(table + 32 * f + 24)
                source = blocks + (tile * 16 * units + unit) * block_bytes + offset
                if valid < 16:
                    transpose_some(source, stride, valid, count, size, change, to)
                elif size == 4:
                    transpose_words(source, stride, count, isplat(change), to)
                else:
                    transpose_parts(source, stride, count, size, change, to)
                to += 16 * count * size
