"""Activations as the matrix kernels read them: records of 1, 4 or 8 rows x 32 columns.

    integer record   int8 [rows, 32] codes, then eight numbers per row, each [rows]:
                     d, -sum, -sum of columns 0..15, -sum of 16..31 (int32), then d times those three
    float record     float32 [rows, 32]

    d = max|x| / 127,   code = round(x * (127 / max|x|)), halves to even

Columns beyond the last are zero, as are rows that only fill the record. Records lie in order of groups of
rows, then blocks of columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .simd import (
    div,
    isum_lanes,
    load_f32,
    load_f32x16,
    max_lanes,
    rint,
    splat,
    store_f32,
    store_f32x16,
    store_i8x16,
    store_i32,
    to_i32,
    vabs,
    vmax,
    load_first,
)
from .tape import kernel

F32 = NDArray[np.float32]


def quantise_ref(x: F32, rows_at_once: int) -> NDArray[np.uint8]:
    """x [rows, columns] -> records [groups, blocks, 64 * rows_at_once] (uint8)."""
    rows, columns = x.shape
    groups, blocks = -(-rows // rows_at_once), -(-columns // 32)
    padded = np.zeros((groups * rows_at_once, blocks * 32), np.float32)
    padded[:rows, :columns] = x
    split = padded.reshape(groups, rows_at_once, blocks, 32).transpose(0, 2, 1, 3)
    top = np.abs(split).max(-1)
    with np.errstate(divide="ignore"):
        inverse = np.where(top > 0, np.float32(127) / top, np.float32(0))
    d = top / np.float32(127)
    codes = np.rint(split * inverse[..., None]).astype(np.int8)
    halves = -codes.reshape(*codes.shape[:3], 2, 16).sum(-1, dtype=np.int32)
    sums = np.stack([halves.sum(-1, dtype=np.int32), halves[..., 0], halves[..., 1]], axis=2)
    scaled = sums.astype(np.float32) * d[:, :, None]
    parts = [codes, d, sums, scaled, np.zeros_like(d)]
    flat = [np.ascontiguousarray(p).reshape(groups, blocks, -1).view(np.uint8) for p in parts]
    return np.concatenate(flat, axis=-1)


def arrange_ref(x: F32, rows_at_once: int) -> F32:
    """x [rows, columns] -> records float32 [groups, blocks, rows_at_once, 32]."""
    rows, columns = x.shape
    groups, blocks = -(-rows // rows_at_once), -(-columns // 32)
    padded = np.zeros((groups * rows_at_once, blocks * 32), np.float32)
    padded[:rows, :columns] = x
    return padded.reshape(groups, rows_at_once, blocks, 32).transpose(0, 2, 1, 3).copy()


@inline
def load_block(x, columns, half):
    """16 columns from x + 64 * half; zeros beyond the last column."""
    left = columns - 16 * half
    if left >= 16:
        return load_f32x16(x + 64 * half)
    if left <= 0:
        return splat(0.0)
    return load_first(x + 64 * half, left)


@inline
def quantise_block(x, columns, codes, numbers, step):
    low, high = load_block(x, columns, 0), load_block(x, columns, 1)
    top = max_lanes(vmax(vabs(low), vabs(high)))
    inverse = splat(np.float32(127) / top) if top > 0 else splat(0.0)
    first, second = to_i32(rint(low * inverse)), to_i32(rint(high * inverse))
    store_i8x16(codes, first)
    store_i8x16(codes + 16, second)
    d = top / np.float32(127)
    left, right = -isum_lanes(first), -isum_lanes(second)
    store_f32(numbers, d)
    for field, count in enumerate((left + right, left, right)):
        store_i32(numbers + (1 + field) * step, count)
        store_f32(numbers + (4 + field) * step, np.float32(count) * d)
    store_f32(numbers + 7 * step, np.float32(0))


@kernel("quantise")
def quantise(part, parts, thread, x, out, rows, columns, stride, at_once, groups, blocks):
    """x float32 [rows, columns], rows `stride` bytes apart -> integer records; cut by (group, block)."""
    total = groups * blocks
    for index in range(total * part // parts, total * (part + 1) // parts):
        group, block = index // blocks, index % blocks
        record = out + index * 64 * at_once
        for i in range(at_once):
            row = group * at_once + i
            left = columns - 32 * block if row < rows else 0
            address = x + row * stride + 128 * block
            numbers = record + 32 * at_once + 4 * i
            quantise_block(address, left, record + 32 * i, numbers, 4 * at_once)


@kernel("arrange")
def arrange(part, parts, thread, x, out, rows, columns, stride, at_once, groups, blocks):
    """x float32 [rows, columns], rows `stride` bytes apart -> float records; cut by (group, block)."""
    total = groups * blocks
    for index in range(total * part // parts, total * (part + 1) // parts):
        group, block = index // blocks, index % blocks
        record = out + index * 128 * at_once
        for i in range(at_once):
            row = group * at_once + i
            left = columns - 32 * block if row < rows else 0
            address = x + row * stride + 128 * block
            store_f32x16(record + 128 * i, load_block(address, left, 0))
            store_f32x16(record + 128 * i + 64, load_block(address, left, 1))


