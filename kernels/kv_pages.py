"""Keys and values in pages of 128 positions, laid out for the attention kernels.

    keys     [kv head][position / 16][dim][16]    16 positions are the lanes of one vector
    values   [kv head][position][dim, padded to 16]

A page holds every layer, one region after the other; a sequence is a list of page addresses.
Numbers are of any type in `kv_types.py`; what does not fit float16 becomes infinite, as in the
cast. Of quantised types 32 dims are a block, and keys are [kv head][position / 16][dim / 32], each
the blocks of 16 positions as in a weight's tile.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .kv_quant import quantize_ref, quantizer
from .kv_types import (
    BLOCK,
    KV_TYPES,
    LANES,
    KvType,
    store_bf16x16,
    to_bf16,
    to_bf16_ref,
)
from .pool import aligned
from .quants.table import DEQUANTIZE_REF
from .simd import (
    at,
    load_f32,
    load_first,
    load_i32,
    load_i64,
    load_u8,
    store_f16,
    store_f16x16,
    store_f32,
    store_f32x16,
    store_i16x16,
    store_i32,
    store_u8,
    unrolled,
    void,
)
from .tape import Kernel, Tape
from .tiles.pack import pack_ref

PAGE = 128
# Stand for all pages' keys and values where a tape says what is read and written.
STORED = np.zeros(2, np.uint8)
DTYPES: dict[str, Any] = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
# Numbers that one thread stores: to share them takes longer. A step of 4 tokens of a 1.07B model on
# two Zen 5 cores takes 9.2 ms for 9.45, one of 8 takes 14.5 for 14.9.
ALONE = 4096
SCRATCH = 128  # bytes each part of a storing kernel has for one row of 32 numbers


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
    # The layer's second, smaller keys, which choose among the others.
    index: Region | None = None

    @property
    def padded_value_dim(self) -> int:
        return -(-self.value_dim // LANES) * LANES

    @property
    def head_bytes(self) -> tuple[int, int]:
        """Bytes of one head's keys and of its values."""
        key, value = KV_TYPES[self.key_type], KV_TYPES[self.value_type]
        return PAGE * key.row_bytes(self.key_dim), PAGE * value.row_bytes(self.padded_value_dim)

    @property
    def end(self) -> int:
        """The first byte after this region."""
        if self.index is not None:
            return self.index.end
        return self.value_offset + self.kv_heads * self.head_bytes[1]


def region_after(
    start: int, kv_heads: int, dims: tuple[int, int], types: tuple[str, str]
) -> Region:
    """The region of a layer with (key, value) dims and types, from byte `start` on.

    Raises ValueError for a size that is not whole blocks of its type.
    """
    for dim, name in zip(dims, types, strict=True):
        KV_TYPES[name].row_bytes(dim)
    values = start + kv_heads * PAGE * KV_TYPES[types[0]].row_bytes(dims[0])
    return Region(kv_heads, dims[0], dims[1], types[0], types[1], start, values)


# --- twins ----------------------------------------------------------------------------------------


def _bytes(address: int, count: int) -> NDArray[np.uint8]:
    return at(address, np.uint8, count)


def _read_only(numbers: NDArray[Any]) -> NDArray[Any]:
    """A copy that is not the cache: writing to it is an error, not a loss."""
    numbers.setflags(write=False)
    return numbers


def _dequantized(blocks: NDArray[np.uint8], kind: KvType) -> NDArray[np.float32]:
    return DEQUANTIZE_REF[kind.name](blocks.reshape(-1, kind.step_bytes))


def keys_of(page: int, region: Region) -> NDArray[Any]:
    """A page's keys of one layer as they lie: [kv heads, 8, dim, 16].

    Types that NumPy has are the page's memory; of the others it is a float32 copy, to read only.
    """
    shape, kind = (region.kv_heads, PAGE // LANES, region.key_dim, LANES), KV_TYPES[region.key_type]
    start = page + region.key_offset
    if kind.name in DTYPES:
        return at(start, DTYPES[kind.name], int(np.prod(shape))).reshape(shape)
    raw = _bytes(start, region.kv_heads * region.head_bytes[0])
    if not kind.quantised:
        return _read_only(_dequantized(raw, kind).reshape(shape))
    units = raw.reshape(-1, kind.form.unit_bytes)
    numbers = _dequantized(unpack_ref(units, kind), kind).reshape(*shape[:2], -1, LANES, BLOCK)
    return _read_only(numbers.swapaxes(3, 4).reshape(shape))


def unpack_ref(units: NDArray[np.uint8], kind: KvType) -> NDArray[np.uint8]:
    """Units of 16 positions' blocks [n, unit bytes] -> the blocks [n, 16, block bytes]."""
    count, at_byte = len(units), 0
    blocks = np.empty((count, LANES, kind.step_bytes), np.uint8)
    for field in kind.form.fields:
        size = field.count * field.size
        part = units[:, at_byte : at_byte + LANES * size]
        lanes = part.reshape(count, field.count, LANES, field.size).swapaxes(1, 2)
        moved = lanes.reshape(count, LANES, size) ^ np.uint8(field.flip)
        blocks[:, :, field.offset : field.offset + size] = moved
        at_byte += LANES * size
    return blocks


def values_of(page: int, region: Region) -> NDArray[Any]:
    """A page's values of one layer as they lie: [kv heads, 128, padded dim]; a copy as for keys."""
    shape, kind = (region.kv_heads, PAGE, region.padded_value_dim), KV_TYPES[region.value_type]
    start = page + region.value_offset
    if kind.name in DTYPES:
        return at(start, DTYPES[kind.name], int(np.prod(shape))).reshape(shape)
    raw = _bytes(start, region.kv_heads * region.head_bytes[1])
    return _read_only(_dequantized(raw, kind).reshape(shape))


def _rounded(rows: NDArray[Any], kind: KvType) -> NDArray[np.uint8]:
    """rows [kv heads, dim] as they are stored: [kv heads, bytes]."""
    if kind.quantised:
        return quantize_ref(kind, rows.reshape(-1, BLOCK)).reshape(len(rows), -1)
    if kind.name == "bf16":
        return to_bf16_ref(rows).view(np.uint8)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(rows.astype(DTYPES[kind.name])).view(np.uint8)


def store_key_ref(page: int, region: Region, slot: int, keys: NDArray[Any]) -> None:
    """Store keys [kv heads, dim] of position `slot` of a page, rounded to the cache's type."""
    kind, raw = KV_TYPES[region.key_type], _rounded(keys, KV_TYPES[region.key_type])
    memory = _bytes(page + region.key_offset, region.kv_heads * region.head_bytes[0])
    if not kind.quantised:
        lanes = memory.reshape(region.kv_heads, PAGE // LANES, region.key_dim, LANES, -1)
        lanes[:, slot // LANES, :, slot % LANES] = raw.reshape(*keys.shape, -1)
        return
    size = kind.form.unit_bytes
    units = memory.reshape(region.kv_heads, PAGE // LANES, -1, size)[:, slot // LANES]
    blocks = unpack_ref(units.reshape(-1, size), kind)
    blocks[:, slot % LANES] = raw.reshape(-1, kind.step_bytes)
    units[...] = pack_ref(blocks.swapaxes(0, 1), kind.form.fields).reshape(units.shape)


def store_value_ref(page: int, region: Region, slot: int, values: NDArray[Any]) -> None:
    """Store values [kv heads, dim] of position `slot` of a page, rounded to the cache's type."""
    raw = _rounded(values, KV_TYPES[region.value_type])
    memory = _bytes(page + region.value_offset, region.kv_heads * region.head_bytes[1])
    row = memory.reshape(region.kv_heads, PAGE, -1)[:, slot]
    row[:, : raw.shape[1]], row[:, raw.shape[1] :] = raw, 0


def store_kv_ref(
    key: NDArray[Any],
    value: NDArray[Any],
    tables: list[NDArray[np.int64]],
    positions: Any,
    region: Region,
) -> None:
    """key, value [rows, kv heads, dim]; one page table and position per row."""
    for k, v, table, position in zip(key, value, tables, positions, strict=True):
        page, slot = int(table[position // PAGE]), int(position % PAGE)
        store_key_ref(page, region, slot, k)
        store_value_ref(page, region, slot, v)


# --- kernels --------------------------------------------------------------------------------------


def _put_keys(kind: KvType) -> Any:
    """put(numbers, unit, lane, dim, scratch): one position's keys into its lane."""
    if kind.quantised:
        return _put_key_blocks(kind)
    if kind.name == "bf16":
        return _put_bf16_keys
    store, size = (store_f16, 2) if kind.name == "f16" else (store_f32, 4)

    @inline
    def put(source, unit, lane, dim, scratch):
        for d in range(dim):
            store(unit + size * (LANES * d + lane), load_f32(source + 4 * d))

    return put


@inline
def _put_bf16_keys(source, unit, lane, dim, scratch):
    for d in range(0, dim, LANES):
        store_i16x16(scratch, to_bf16(load_first(source + 4 * d, min(16, dim - d))))
        for i in range(min(16, dim - d)):
            for byte in range(2):
                to = unit + 2 * (LANES * (d + i) + lane) + byte
                store_u8(to, load_u8(scratch + 2 * i + byte))


def _put_key_blocks(kind: KvType) -> Any:
    quantize, unit_bytes = quantizer(kind, moved=True), kind.form.unit_bytes

    @unrolled(lambda block, unit, lane: void)
    def spread(block, unit, lane):
        for field in kind.form.fields:
            for e in range(field.count):
                source, to = block + field.offset + field.size * e, unit + lane * field.size
                if field.size == 4:
                    store_i32(to, load_i32(source))
                else:
                    store_u8(to, load_u8(source))
                    store_u8(to + 1, load_u8(source + 1))
                unit = unit + LANES * field.size

    @inline
    def put(source, unit, lane, dim, scratch):
        for d in range(dim // BLOCK):
            quantize(source + 4 * BLOCK * d, scratch)
            spread(scratch, unit + unit_bytes * d, lane)

    return put


def _put_values(kind: KvType) -> Any:
    """put(numbers, to, dim): one position's values."""
    if kind.quantised:
        quantize, size = quantizer(kind), kind.step_bytes

        @inline
        def put_blocks(source, to, dim):
            for d in range(dim // BLOCK):
                quantize(source + 4 * BLOCK * d, to + size * d)

        return put_blocks
    store = {"f16": store_f16x16, "f32": store_f32x16, "bf16": store_bf16x16}[kind.name]
    size = kind.step_bytes

    @inline
    def put(source, to, dim):
        for d in range(0, dim, LANES):
            store(to + size * d, load_first(source + 4 * d, min(16, dim - d)))

    return put


@functools.cache
def store_keys(name: str) -> Kernel:
    """The kernel that stores rows of keys of one type, each at its row's position."""
    put = _put_keys(KV_TYPES[name])

    def body(
        part, parts, thread, key, spans, positions, rows, heads, dim, stride, offset, row_bytes,
        scratch,
    ):  # fmt: skip
        for index in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
            row, head = index // heads, index % heads
            position = load_i64(positions + 8 * row)
            page = load_i64(load_i64(spans + 24 * row) + 8 * (position // PAGE))
            slot = position % PAGE
            unit = page + offset + (head * PAGE + slot // LANES * LANES) * row_bytes
            source = key + row * stride + 4 * head * dim
            put(source, unit, slot % LANES, dim, scratch + SCRATCH * part)

    return Kernel(f"store_keys_{name}", body)


@functools.cache
def store_values(name: str) -> Kernel:
    """The kernel that stores rows of values of one type, each at its row's position."""
    put = _put_values(KV_TYPES[name])

    def body(
        part, parts, thread, value, spans, positions, rows, heads, dim, stride, offset, row_bytes,
        scratch,
    ):  # fmt: skip
        for index in range(rows * heads * part // parts, rows * heads * (part + 1) // parts):
            row, head = index // heads, index % heads
            position = load_i64(positions + 8 * row)
            page = load_i64(load_i64(spans + 24 * row) + 8 * (position // PAGE))
            to = page + offset + (head * PAGE + position % PAGE) * row_bytes
            put(value + row * stride + 4 * head * dim, to, dim)

    return Kernel(f"store_values_{name}", body)


def emit_store(
    tape: Tape, key: Any, value: Any, positions: Any, spans: NDArray[np.int64], region: Region
) -> None:
    """Record storing float32 keys and values [rows, kv heads, dim] at the rows' positions."""
    rows, heads = key.shape[:2]
    parts = 1 if key.size <= ALONE else min(8, rows)
    scratch = aligned(SCRATCH * parts)
    tape.keep(scratch)
    key_row, value_row = (size // PAGE for size in region.head_bytes)
    keys = store_keys(region.key_type), key, region.key_dim, region.key_offset, key_row
    values = (
        store_values(region.value_type),
        value,
        region.value_dim,
        region.value_offset,
        value_row,
    )
    for (store, x, dim, offset, row), stored in ((keys, STORED[:1]), (values, STORED[1:])):
        given = (x, spans, positions, rows, heads, dim, x.strides[0], offset, row, scratch)
        tape.emit(store, parts, given, [x], [stored])
