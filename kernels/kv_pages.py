"""Keys and values in pages of 128 positions, laid out for the attention kernels.

    keys     [kv head][position / 16][dim][16]    16 positions are the lanes of one vector
    values   [kv head][position][dim, padded to 16]

A page holds every layer, one region after the other; a sequence is a list of page addresses.
Numbers are float16, float32 or float64; what does not fit float16 becomes infinite, as in the cast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .simd import (
    at,
    load_f32,
    load_first,
    load_i64,
    store_f16,
    store_f16x16,
    store_f32,
    store_f32x16,
)
from .tape import Kernel, Tape

PAGE = 128
LANES = 16
# Stand for all pages' keys and values where a tape says what is read and written.
STORED = np.zeros(2, np.uint8)
DTYPES: dict[str, Any] = {"f16": np.float16, "f32": np.float32, "f64": np.float64}


@dataclass(frozen=True)
class Region:
    """Where one layer's keys and values lie in a page: byte offsets, sizes, number types."""

    kv_heads: int
    key_dim: int
    value_dim: int
    key_type: str
    value_type: str
    key_offset: int
    value_offset: int

    @property
    def padded_value_dim(self) -> int:
        return -(-self.value_dim // LANES) * LANES

    @property
    def head_bytes(self) -> tuple[int, int]:
        """Bytes of one head's keys and of its values."""
        key_size = np.dtype(DTYPES[self.key_type]).itemsize
        value_size = np.dtype(DTYPES[self.value_type]).itemsize
        return PAGE * self.key_dim * key_size, PAGE * self.padded_value_dim * value_size

    @property
    def end(self) -> int:
        """The first byte after this region."""
        return self.value_offset + self.kv_heads * self.head_bytes[1]


def region_after(
    start: int, kv_heads: int, dims: tuple[int, int], types: tuple[str, str]
) -> Region:
    """The region of a layer with (key, value) dims and types, from byte `start` on."""
    size = np.dtype(DTYPES[types[0]]).itemsize
    values = start + kv_heads * PAGE * dims[0] * size
    return Region(kv_heads, dims[0], dims[1], types[0], types[1], start, values)


def keys_of(page: int, region: Region) -> NDArray[Any]:
    """A page's keys of one layer as they lie: [kv heads, 8, dim, 16]."""
    shape = (region.kv_heads, PAGE // LANES, region.key_dim, LANES)
    return at(page + region.key_offset, DTYPES[region.key_type], int(np.prod(shape))).reshape(shape)


def values_of(page: int, region: Region) -> NDArray[Any]:
    """A page's values of one layer as they lie: [kv heads, 128, padded dim]."""
    shape = (region.kv_heads, PAGE, region.padded_value_dim)
    memory = at(page + region.value_offset, DTYPES[region.value_type], int(np.prod(shape)))
    return memory.reshape(shape)


def store_kv_ref(
    key: NDArray[Any],
    value: NDArray[Any],
    tables: list[NDArray[np.int64]],
    positions: Any,
    region: Region,
) -> None:
    """key, value [rows, kv heads, dim]; one page table and position per row."""
    with np.errstate(over="ignore"):
        for k, v, table, position in zip(key, value, tables, positions, strict=True):
            page, slot = int(table[position // PAGE]), position % PAGE
            keys_of(page, region)[:, slot // LANES, :, slot % LANES] = k
            values_of(page, region)[:, slot, : region.value_dim] = v


def _store_key(name: str, size: int, store: Any) -> Kernel:
    def body(part, parts, thread, key, spans, positions, rows, heads, dim, stride, offset):
        for index in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
            row, head = index // heads, index % heads
            position = load_i64(positions + 8 * row)
            page = load_i64(load_i64(spans + 24 * row) + 8 * (position // 128))
            slot = position % 128
            to = page + offset + ((head * 8 + slot // 16) * dim * 16 + slot % 16) * size
            source = key + row * stride + 4 * head * dim
            for d in range(dim):
                store(to + 16 * size * d, load_f32(source + 4 * d))

    return Kernel(f"store_key_{name}", body)


def _store_value(name: str, size: int, store: Any) -> Kernel:
    def body(part, parts, thread, value, spans, positions, rows, heads, dim, stride, offset):
        padded = (dim + 15) // 16 * 16
        for index in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
            row, head = index // heads, index % heads
            position = load_i64(positions + 8 * row)
            page = load_i64(load_i64(spans + 24 * row) + 8 * (position // 128))
            to = page + offset + (head * 128 + position % 128) * padded * size
            source = value + row * stride + 4 * head * dim
            for d in range(0, dim, 16):
                store(to + size * d, load_first(source + 4 * d, min(16, dim - d)))

    return Kernel(f"store_value_{name}", body)


STORE_KEY = {"f16": _store_key("f16", 2, store_f16), "f32": _store_key("f32", 4, store_f32)}
STORE_VALUE = {
    "f16": _store_value("f16", 2, store_f16x16),
    "f32": _store_value("f32", 4, store_f32x16),
}


def emit_store(
    tape: Tape, key: Any, value: Any, positions: Any, spans: NDArray[np.int64], region: Region
) -> None:
    """Record storing float32 keys and values [rows, kv heads, dim] at the rows' positions."""
    rows, heads = key.shape[:2]
    parts = min(8, rows)
    for store, x, dim, offset, stored in (
        (STORE_KEY[region.key_type], key, region.key_dim, region.key_offset, STORED[:1]),
        (STORE_VALUE[region.value_type], value, region.value_dim, region.value_offset, STORED[1:]),
    ):
        values = (x, spans, positions, rows, heads, dim, x.strides[0], offset)
        tape.emit(store, parts, values, [x], [stored])
