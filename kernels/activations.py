"""Activations rounded to 8 bits, in records as `records.py` has them; or laid out as they are.

    d1 = max|x| / 127,   code1 = round(x * (127 / max|x|)), halves to even
    d2 = d1 / 254,       code2 = round((x - d1 code1) * (254 * 127 / max|x|))

Where max|x| is at most 2^-80 codes are zero: below that 127 / max|x| and products of d with float16
scales would leave float32's normal range, where instruction sets could differ.

The second level is there for rows in which one number holds more than `share` of the block's energy
(max^2 > share * sum x^2): one level would leave the other 31 numbers few of the 255 steps. The
flag, at the record's first row, says whether any row has it; the others' second level is zero.

Why: on 1500 tokens of prose and code the mean KL divergence of SmolLM2 to float32 is 0.0007 with
share 3/4 (7 % of the blocks; gemma 0.0007), 0.0003 with 1/2 (21 %, prompts 6 to 12 % slower) and
0.0023 with one level alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .records import RECORD
from .rows import any_row, isums, maxima, of_row, store_floats, store_ints, sums
from .simd import (
    div,
    exceeds,
    fma,
    isplat,
    load_f32x16,
    load_first,
    rint,
    select,
    splat,
    store_f32x16,
    store_i8x16,
    store_i32,
    to_f32,
    to_i32,
    vabs,
    vmax,
)
from .tape import kernel
from .trace import i32, unrolled, void

F32 = NDArray[np.float32]
LEVEL = 64  # bytes of one level of 32 columns of one row
SHARE = 0.75
TINY = np.float32(2.0**-80)
STEPS, SEVEN_BITS = np.float32(254), np.float32(127)


def quantise_ref(x: F32, rows_at_once: int, share: float = SHARE) -> NDArray[np.uint8]:
    """x [rows, columns] -> integer records [groups, 2, blocks, 64 * rows_at_once] (uint8)."""
    blocks = arrange_ref(x, rows_at_once)
    squares = blocks[..., :16] * blocks[..., :16] + blocks[..., 16:] * blocks[..., 16:]
    while squares.shape[-1] > 1:
        half = squares.shape[-1] // 2
        squares = squares[..., :half] + squares[..., half:]
    top = np.abs(blocks).max(-1)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(top > TINY, np.float32(127) / top, np.float32(0))
    d = top / np.float32(127)
    first = np.rint(blocks * inverse[..., None])
    two = top * top > np.float32(share) * squares[..., 0]
    exact = blocks.astype(np.float64) - first.astype(np.float64) * d[..., None]
    rest = np.where(two[..., None], exact.astype(np.float32), np.float32(0))
    second = np.rint(rest * (inverse * STEPS)[..., None])
    first, second = first.astype(np.int8), second.astype(np.int8)
    low = record_ref(first, first, d, np.broadcast_to(two.any(-1, keepdims=True), two.shape))
    high = record_ref(second, second, np.where(two, d / STEPS, np.float32(0)), np.zeros_like(two))
    return np.stack([low, high], axis=1)


def record_ref(
    codes: NDArray[Any], ordered: NDArray[Any], d: F32, flag: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Codes [groups, blocks, rows, 32] as they are stored, `ordered`, and their numbers."""
    halves = -codes.reshape(*codes.shape[:3], 2, 16).sum(-1, dtype=np.int32)
    sums = np.stack([halves.sum(-1, dtype=np.int32), halves[..., 0], halves[..., 1]], axis=2)
    scaled = sums.astype(np.float32) * d[:, :, None]
    flags = flag.astype(np.int32)
    flags[..., 1:] = 0
    parts = [np.ascontiguousarray(part) for part in (ordered, d, 128 * sums, scaled, flags)]
    flat = [part.reshape(*codes.shape[:2], -1).view(np.uint8) for part in parts]
    return np.concatenate(flat, axis=-1)


def arrange_ref(x: F32, rows_at_once: int) -> F32:
    """x [rows, columns] -> float records, float32 [groups, blocks, rows_at_once, 32]."""
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


def put_level(
    low: Any, high: Any, d: Any, codes: Any, numbers: Any, step: Any, store: Any = store_i8x16,
    size: int = 1,
) -> None:  # fmt: skip
    """Write one level of some rows: codes from whole floats, of `size` bytes, then d, sums and d
    times sums.
    """
    first, second = ([to_i32(row) for row in half] for half in (low, high))
    for i, (one, other) in enumerate(zip(first, second, strict=True)):
        store(codes + 32 * size * i, one)
        store(codes + (32 * i + 16) * size, other)
    left, right = isums(first) * -1, isums(second) * -1
    store_floats(numbers, d, len(low))
    for field, count in enumerate((left + right, left, right)):
        store_ints(numbers + (1 + field) * step, count * 128, len(low))
        store_floats(numbers + (4 + field) * step, to_f32(count) * d, len(low))
    store_ints(numbers + 7 * step, isplat(0), len(low))


def scales(low: Any, high: Any, steps: Any = SEVEN_BITS) -> tuple[Any, Any]:
    """max |x| of each row's block, and `steps` / that, or 0."""
    top = maxima([vmax(vabs(a), vabs(b)) for a, b in zip(low, high, strict=True)])
    return top, select(exceeds(top, splat(TINY)), div(splat(steps), top), splat(0.0))


def dominated(low: Any, high: Any, top: Any, share: Any) -> Any:
    """Of which rows one number holds more than `share` of the block."""
    squares = sums([a * a + b * b for a, b in zip(low, high, strict=True)])
    return exceeds(top * top, splat(share) * squares)


@unrolled(lambda *given: i32)
def first_level(low, high, codes, numbers, step, share):
    """Write the first level of some rows of a record; returns whether one needs the second."""
    top, inverse = scales(low, high)
    left, right = (
        [rint(x * of_row(inverse, i)) for i, x in enumerate(half)] for half in (low, high)
    )
    put_level(left, right, div(top, splat(SEVEN_BITS)), codes, numbers, step)
    return any_row(dominated(low, high, top, share))


@unrolled(lambda *given: void)
def second_level(low, high, codes, numbers, step, share):
    """The second level of the same rows: what the first leaves, or zeros."""
    top, inverse = scales(low, high)
    d, two = div(top, splat(SEVEN_BITS)), dominated(low, high, top, share)
    minus_d, finer = d * -1.0, select(two, inverse * float(STEPS), splat(0.0))

    def rest(x: Any, i: int) -> Any:
        left = fma(rint(x * of_row(inverse, i)), of_row(minus_d, i), x)
        return rint(left * of_row(finer, i))

    left, right = ([rest(x, i) for i, x in enumerate(half)] for half in (low, high))
    d = select(two, div(d, splat(STEPS)), splat(0.0))
    put_level(left, right, d, codes, numbers, step)


@inline
def load_half(x, stride, rows, columns, half):
    """A half of four rows' blocks; zeros for those beyond `rows`."""
    return (
        load_block(x, columns if rows > 0 else 0, half),
        load_block(x + stride, columns if rows > 1 else 0, half),
        load_block(x + 2 * stride, columns if rows > 2 else 0, half),
        load_block(x + 3 * stride, columns if rows > 3 else 0, half),
    )


@inline
def load_rows(x, stride, rows, columns):
    return load_half(x, stride, rows, columns, 0), load_half(x, stride, rows, columns, 1)


@inline
def load_row(x, columns):
    return (load_block(x, columns, 0),), (load_block(x, columns, 1),)


@kernel("quantise")
def quantise(
    part, parts, thread, x, out, rows, columns, stride, at_once, groups, blocks, share: float
):
    """x float32 [rows, columns], rows `stride` bytes apart -> integer records; cut by records.

    A second level that no row of a record needs is not written.
    """
    total, step = groups * blocks, 4 * at_once
    for index in range(total * part // parts, total * (part + 1) // parts):
        group, block = index // blocks, index % blocks
        record = out + (group * RECORD * blocks + block * LEVEL) * at_once
        finer, numbers = LEVEL * blocks * at_once, record + 32 * at_once
        address, left = x + group * at_once * stride + 128 * block, columns - 32 * block
        present, flag = rows - group * at_once, np.int32(0)
        if at_once == 1:
            low, high = load_row(address, left)
            flag = first_level(low, high, record, numbers, step, share)
            if flag:
                second_level(low, high, record + finer, numbers + finer, step, share)
            store_i32(numbers + 7 * step, flag)
            continue
        for i in range(0, at_once, 4):
            four = load_rows(address + i * stride, stride, present - i, left)
            flag |= first_level(four[0], four[1], record + 32 * i, numbers + 4 * i, step, share)
        store_i32(numbers + 7 * step, flag)
        for i in range(0, at_once if flag else 0, 4):
            four = load_rows(address + i * stride, stride, present - i, left)
            codes, to = record + finer + 32 * i, numbers + finer + 4 * i
            second_level(four[0], four[1], codes, to, step, share)


@kernel("arrange")
def arrange(
    part, parts, thread, x, out, rows, columns, stride, at_once, groups, blocks, share: float
):
    """x float32 [rows, columns], rows `stride` bytes apart -> float records; cut by records."""
    total = groups * blocks
    for index in range(total * part // parts, total * (part + 1) // parts):
        group, block = index // blocks, index % blocks
        record = out + index * RECORD * at_once
        for i in range(at_once):
            row = group * at_once + i
            left = columns - 32 * block if row < rows else 0
            address = x + row * stride + 128 * block
            store_f32x16(record + 128 * i, load_block(address, left, 0))
            store_f32x16(record + 128 * i + 64, load_block(address, left, 1))
