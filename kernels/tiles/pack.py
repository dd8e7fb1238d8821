"""Pack rows of GGUF blocks in tiles: tile[unit][field][element][row] = block[row][unit][field][element].

A tile holds 16 rows; a unit is 32 columns of them (256 for types with super-blocks). Within a unit every
field of the block is transposed, so that one vector load gives the same four bytes (or the same scale) of
16 rows. Nothing is re-rounded and nothing grows: a tile takes the bytes of its 16 rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._jit import inline
from ..simd import load_i32, load_i64, load_u8, store_i32, store_u8
from ..tape import kernel

U8 = NDArray[np.uint8]
ROWS = 16


@dataclass(frozen=True)
class Field:
    """`count` elements of `size` bytes at byte `offset` of a block; `flip` is xored into each byte."""

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
    """The fields as the kernel reads them: offset, count, size, flip as four bytes; int64 [n, 4]."""
    rows = [(f.offset, f.count, f.size, f.flip * 0x01010101) for f in fields]
    return np.array(rows, np.int64)


@inline
def transpose(source, stride, rows, count, size, flip, to):
    """Write element e of each of 16 rows side by side; rows that are not there are zero."""
    for row in range(16):
        for e in range(count):
            address = to + (e * 16 + row) * size
            if size == 4:
                word = load_i32(source + row * stride + 4 * e) ^ flip if row < rows else 0
                store_i32(address, word)
            else:
                for k in range(size):
                    byte = load_u8(source + row * stride + size * e + k) if row < rows else 0
                    store_u8(address + k, byte ^ (flip & 255) if row < rows else 0)


@kernel("pack")
def pack(part, parts, thread, blocks, tiles, table, fields, rows, units, block_bytes, unit_bytes):
    tile_count = (rows + 15) // 16
    for tile in range(tile_count * part // parts, tile_count * (part + 1) // parts):
        for unit in range(units):
            to = tiles + (tile * units + unit) * unit_bytes
            for f in range(fields):
                offset, count = load_i64(table + 32 * f), load_i64(table + 32 * f + 8)
                size, flip = load_i64(table + 32 * f + 16), load_i64(table + 32 * f + 24)
                source = blocks + (tile * 16 * units + unit) * block_bytes + offset
                valid = min(16, rows - 16 * tile)
                transpose(source, units * block_bytes, valid, count, size, flip, to)
                to += 16 * count * size
