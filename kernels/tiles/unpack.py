"""Unpack 32 columns of a tile: weight = scale * code - minimum, or scale * (code - 2^shift).

`codes` are 8 vectors; lane r of vector g holds the unsigned codes of columns 4g..4g+3 of row r, one byte
each. `scales` and `minimums` are tuples of one vector (per 32 columns) or two (per 16 columns). Products of
super-block and sub-block scales are rounded to float32 as in the dequantiser twins (`kernels/quants`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from .._jit import inline
from ..simd import (
    f32x16,
    i32x16,
    isplat,
    load_f16x16,
    load_f32x16,
    load_i8x16,
    load_i32x16,
    load_u8x16,
    load_u16x16,
    shift_left,
    shift_right,
    splat,
    unrolled,
)
from ..simd import as_f32, to_f32
from .pack import Field, unit_bytes

CODES = types.UniTuple(i32x16, 8)
LOW4 = 0x0F0F0F0F
LOW2 = 0x03030303


@dataclass(frozen=True)
class TileFormat:
    """How one weight type lies in a tile and how 32 of its columns are unpacked.

    `unpack(unit address, block) -> (codes, scales, minimums)`; block counts 32 columns within the unit.
    `shift` is None where a minimum is subtracted instead. Float types have `columns_of` and no codes.
    """

    name: str
    columns: int
    fields: tuple[Field, ...]
    unpack: Any = None
    shift: int | None = None
    groups: int = 1
    columns_of: Any = None

    @property
    def unit_bytes(self) -> int:
        return unit_bytes(self.fields)

    @property
    def integer(self) -> bool:
        return self.unpack is not None


@unrolled(lambda address: CODES)
def load_codes(address: Any) -> Any:
    """Eight vectors as they lie."""
    return tuple(load_i32x16(address + 64 * g) for g in range(8))


@unrolled(lambda address: CODES)
def split_nibbles(address: Any) -> Any:
    """Four vectors: columns 0..15 in the low nibbles, 16..31 in the high ones."""
    raw = [load_i32x16(address + 64 * g) for g in range(4)]
    return tuple([v & LOW4 for v in raw] + [shift_right(v, 4) & LOW4 for v in raw])


@unrolled(lambda address, shift: CODES)
def nibbles(address: Any, shift: Any) -> Any:
    """Eight vectors: 32 columns in the nibbles that start at bit `shift`."""
    return tuple(shift_right(load_i32x16(address + 64 * g), shift) & LOW4 for g in range(8))


@unrolled(lambda codes, bits: CODES)
def add_fifth_bits(codes: Any, bits: Any) -> Any:
    """Bit c of `bits` is bit 4 of column c's code: x * 0x204081 puts bit k of a nibble at bit 8k."""
    fifth = [(shift_right(bits, 4 * g) & 15) * 0x00204081 & 0x01010101 for g in range(8)]
    return tuple(code | shift_left(bit, 4) for code, bit in zip(codes, fifth, strict=True))


@unrolled(lambda codes, address, shift: CODES)
def add_top_pairs(codes: Any, address: Any, shift: Any) -> Any:
    """Two bits per column, from bit `shift` of eight vectors, are bits 4 and 5 of its code."""
    pairs = [shift_right(load_i32x16(address + 64 * g), shift) & LOW2 for g in range(8)]
    return tuple(code | shift_left(pair, 4) for code, pair in zip(codes, pairs, strict=True))


# --- one scale per 32 columns ---------------------------------------------------------------------


@inline
def unpack_q8_0(unit, block):
    return load_codes(unit + 32), (load_f16x16(unit),), ()


@inline
def unpack_q4_0(unit, block):
    return split_nibbles(unit + 32), (load_f16x16(unit),), ()


@inline
def unpack_q4_1(unit, block):
    return split_nibbles(unit + 64), (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@inline
def unpack_q5_0(unit, block):
    codes = add_fifth_bits(split_nibbles(unit + 96), load_i32x16(unit + 32))
    return codes, (load_f16x16(unit),), ()


@inline
def unpack_q5_1(unit, block):
    codes = add_fifth_bits(split_nibbles(unit + 128), load_i32x16(unit + 64))
    return codes, (load_f16x16(unit),), (negative(load_f16x16(unit + 32)),)


@inline
def negative(x):
    return x * splat(-1.0)


# --- super-blocks of 256 columns ------------------------------------------------------------------


@inline
def scale_and_minimum(address, block):
    """The 6-bit scale and minimum of Q4_K and Q5_K: 12 bytes, here 12 vectors of 16 bytes.

    Bytes 0..3 and 4..7 hold those of blocks 0..3; their top bits and bytes 8..11 those of blocks 4..7.
    """
    if block < 4:
        return (
            load_u8x16(address + 16 * block) & isplat(63),
            load_u8x16(address + 16 * block + 64) & isplat(63),
        )
    both = load_u8x16(address + 16 * block + 64)
    scale_top = shift_right(load_u8x16(address + 16 * block - 64), 6)
    minimum_top = shift_right(load_u8x16(address + 16 * block), 6)
    return (
        (both & isplat(15)) | shift_left(scale_top, 4),
        shift_right(both, 4) | shift_left(minimum_top, 4),
    )


@inline
def unpack_q4_k(unit, block):
    scale, minimum = scale_and_minimum(unit + 64, block)
    codes = nibbles(unit + 256 + 512 * (block >> 1), 4 * (block & 1))
    return (
        codes,
        (load_f16x16(unit) * to_f32(scale),),
        (load_f16x16(unit + 32) * to_f32(minimum),),
    )


@inline
def unpack_q6_k(unit, block):
    half, k = block >> 2, block & 3
    codes = nibbles(unit + 1024 * half + 512 * (k & 1), 4 * (k >> 1))
    codes = add_top_pairs(codes, unit + 2048 + 512 * half, 2 * k)
    super_scale = load_f16x16(unit + 3328)
    first = super_scale * to_f32(load_i8x16(unit + 3072 + 32 * block))
    second = super_scale * to_f32(load_i8x16(unit + 3072 + 32 * block + 16))
    return codes, (first, second), ()


# --- floats: 32 columns of 16 numbers -------------------------------------------------------------


COLUMNS = types.UniTuple(f32x16, 32)


@unrolled(lambda unit: COLUMNS)
def columns_f32(unit: Any) -> Any:
    return tuple(load_f32x16(unit + 64 * c) for c in range(32))


@unrolled(lambda unit: COLUMNS)
def columns_f16(unit: Any) -> Any:
    return tuple(load_f16x16(unit + 32 * c) for c in range(32))


@unrolled(lambda unit: COLUMNS)
def columns_bf16(unit: Any) -> Any:
    return tuple(as_f32(shift_left(load_u16x16(unit + 32 * c), 16)) for c in range(32))


def _format(name: str, columns: int, *fields: tuple[int, ...], **rest: Any) -> tuple[str, TileFormat]:
    return name, TileFormat(name, columns, tuple(Field(*field) for field in fields), **rest)


FORMATS: dict[str, TileFormat] = dict(
    (
        _format("f32", 32, (0, 32, 4), columns_of=columns_f32),
        _format("f16", 32, (0, 32, 2), columns_of=columns_f16),
        _format("bf16", 32, (0, 32, 2), columns_of=columns_bf16),
        _format("q8_0", 32, (0, 1, 2), (2, 8, 4, 0x80), unpack=unpack_q8_0, shift=7),
        _format("q4_0", 32, (0, 1, 2), (2, 4, 4), unpack=unpack_q4_0, shift=3),
        _format("q4_1", 32, (0, 1, 2), (2, 1, 2), (4, 4, 4), unpack=unpack_q4_1),
        _format("q5_0", 32, (0, 1, 2), (2, 1, 4), (6, 4, 4), unpack=unpack_q5_0, shift=4),
        _format("q5_1", 32, (0, 1, 2), (2, 1, 2), (4, 1, 4), (8, 4, 4), unpack=unpack_q5_1),
        _format("q4_k", 256, (0, 1, 2), (2, 1, 2), (4, 12, 1), (16, 32, 4), unpack=unpack_q4_k),
        _format(
            "q6_k", 256, (0, 32, 4), (128, 16, 4), (192, 16, 1), (208, 1, 2),
            unpack=unpack_q6_k, shift=5, groups=2,
        ),
    )
)
