"""The types that keys and values are cached in: what a row takes, how 16 of its numbers are read.

    f64 f32 f16 bf16                     numbers
    q8_0 q4_0 q4_1 q5_0 q5_1 iq4_nl      blocks of 32: codes, a float16 scale, perhaps a minimum

A row of values is laid out as in a file. Keys lie with 16 positions side by side: numbers dim by
dim, blocks as a weight's tile holds 32 columns of 16 rows (`tiles/`). A product of scale and code
is rounded to float32, then the minimum is added, as in the dequantiser twins (`quants/`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.ggml_types import BY_NAME
from ._jit import inline
from .simd import (
    as_f32,
    as_i32,
    i32x16,
    isplat,
    less,
    load_f16,
    load_f16x16,
    load_f32x16,
    load_i8x16,
    load_i32,
    load_u8x16,
    load_u16x16,
    select,
    shift_left,
    shift_right,
    splat,
    store_f32x16,
    store_i16x16,
    to_f32,
    unrolled,
    vectors,
    void,
)
from .tiles.codes import TileFormat
from .tiles.formats import FORMATS
from .tiles.fp4 import iq4_level

LANES = 16
BLOCK = 32  # numbers in a block of every quantised type
FLOATS = ("f64", "f32", "f16", "bf16")
QUANTISED = ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")
# Bit k for lane k, of the 16 bits that hold the fifth bits of half a block.
LANE_BIT = (1 << np.arange(LANES)).astype(np.int32)
INFINITE, QUIET = 0x7F800000, 64  # bits of a float32; of a bfloat16 that is not a number
ZERO, SIXTEEN = np.float32(0), np.float32(16)


@dataclass(frozen=True)
class KvType:
    """One cache type by its ggml name."""

    name: str

    @property
    def quantised(self) -> bool:
        """Whether it stores blocks, so that sizes must be multiples of 32."""
        return self.name in QUANTISED

    @property
    def step(self) -> int:
        """Numbers that are stored together."""
        return BLOCK if self.quantised else 1

    @property
    def step_bytes(self) -> int:
        """Bytes of `step` numbers."""
        return BY_NAME[self.name].bytes

    def row_bytes(self, dim: int) -> int:
        """Bytes of `dim` numbers. Raises ValueError unless they are whole blocks."""
        if dim % self.step:
            rule = f"a multiple of {self.step} for type {self.name}"
            raise ValueError(f"numbers per row: found {dim}, expected {rule}")
        return dim // self.step * self.step_bytes

    @property
    def form(self) -> TileFormat:
        """How blocks of keys lie, 16 positions side by side."""
        return FORMATS[self.name]


KV_TYPES: dict[str, KvType] = {name: KvType(name) for name in (*FLOATS, *QUANTISED)}


# --- 16 numbers -----------------------------------------------------------------------------------


def load_bf16x16(address: Any) -> Any:
    """16 bfloat16 numbers: the upper halves of float32 ones."""
    return as_f32(shift_left(load_u16x16(address), 16))


def to_bf16_ref(x: NDArray[Any]) -> NDArray[np.uint16]:
    """Round float32 to bfloat16: to nearest, halves to even; what is not a number stays so."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    odd = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(INFINITE)
    return np.where(odd, bits >> 16 | QUIET, rounded).astype(np.uint16)


@unrolled(lambda x: i32x16)
def to_bf16(x: Any) -> Any:
    """The same for a vector; the upper halves of its lanes are zero."""
    bits = as_i32(x)
    upper = shift_right(bits, 16)
    rounded = shift_right(bits + 0x7FFF + (upper & 1), 16)
    odd = less(INFINITE, bits & 0x7FFFFFFF)
    return as_i32(select(odd, as_f32(upper | QUIET), as_f32(rounded)))


@unrolled(lambda address, x: void)
def store_bf16x16(address: Any, x: Any) -> None:
    """Write 16 numbers as bfloat16."""
    store_i16x16(address, to_bf16(x))


LOAD: dict[str, Callable[[Any], Any]] = {
    "f32": load_f32x16,
    "f16": load_f16x16,
    "bf16": load_bf16x16,
}


def _nibbles(address: Any) -> tuple[Any, Any]:
    raw = load_u8x16(address)
    return raw & 15, shift_right(raw, 4)


def _with_fifth_bits(address: Any, bits_at: Any) -> tuple[Any, ...]:
    bits = isplat(load_i32(bits_at))
    halves = bits, shift_right(bits, 16)
    tops = [select(less(0, half & LANE_BIT), SIXTEEN, ZERO) for half in halves]
    return tuple(to_f32(code) + top for code, top in zip(_nibbles(address), tops, strict=True))


def _block_q8_0(address: Any) -> tuple[Any, ...]:
    d = splat(load_f16(address))
    return tuple(to_f32(load_i8x16(address + 2 + 16 * half)) * d for half in (0, 1))


def _block_q4_0(address: Any) -> tuple[Any, ...]:
    d = splat(load_f16(address))
    return tuple(to_f32(code - 8) * d for code in _nibbles(address + 2))


def _block_q4_1(address: Any) -> tuple[Any, ...]:
    d, m = splat(load_f16(address)), splat(load_f16(address + 2))
    return tuple(to_f32(code) * d + m for code in _nibbles(address + 4))


def _block_q5_0(address: Any) -> tuple[Any, ...]:
    d = splat(load_f16(address))
    return tuple((code - SIXTEEN) * d for code in _with_fifth_bits(address + 6, address + 2))


def _block_q5_1(address: Any) -> tuple[Any, ...]:
    d, m = splat(load_f16(address)), splat(load_f16(address + 2))
    return tuple(code * d + m for code in _with_fifth_bits(address + 8, address + 4))


def _block_iq4_nl(address: Any) -> tuple[Any, ...]:
    d = splat(load_f16(address))
    return tuple(to_f32((iq4_level(code) & 255) - 128) * d for code in _nibbles(address + 2))


BLOCKS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "q8_0": _block_q8_0,
    "q4_0": _block_q4_0,
    "q4_1": _block_q4_1,
    "q5_0": _block_q5_0,
    "q5_1": _block_q5_1,
    "iq4_nl": _block_iq4_nl,
}


def row_loader(kind: KvType, count: int) -> Any:
    """A function of kernels: address -> `count` vectors of a row of values, numbers in order."""

    def blocks(address):
        spots = [address + i * kind.step_bytes for i in range(count // 2)]
        return sum((BLOCKS[kind.name](spot) for spot in spots), ())

    def numbers(address):
        return tuple(LOAD[kind.name](address + 16 * kind.step_bytes * i) for i in range(count))

    return unrolled(lambda address: vectors(count))(blocks if kind.quantised else numbers)


# --- widening to float32: what many queries share is unpacked once --------------------------------


def widen_values(kind: KvType) -> Any:
    """widen(address, count, to): `count` runs of 32 numbers of rows of values, as they lie."""
    load, size = row_loader(kind, 2), 2 * LANES // kind.step * kind.step_bytes

    @inline
    def widen(source, count, to):
        for i in range(count):
            low, high = load(source + size * i)
            store_f32x16(to + 128 * i, low)
            store_f32x16(to + 128 * i + 64, high)

    return widen


def widen_keys(kind: KvType) -> Any:
    """widen(address, count, to): `count` runs of 32 numbers of keys, as they lie: blocks in 16s."""
    if not kind.quantised:
        return widen_values(kind)
    form = kind.form
    unpack, size = form.unpack, form.unit_bytes

    @unrolled(lambda codes, scales, minimums, to: void)
    def put(codes, scales, minimums, to):
        read = form.reader((codes, scales, minimums))
        for dim in range(BLOCK):
            store_f32x16(to + 64 * dim, read(dim))

    @inline
    def widen(source, count, to):
        for i in range(count // LANES):
            codes, scales, minimums = unpack(source + size * i, 0)
            put(codes, scales, minimums, to + 64 * BLOCK * i)

    return widen
