"""Primitives of the tiles: table look-ups and base-3 digits by byte, 16 rows turned into lanes.

Vectors are i32x16: 64 bytes, four to a lane. As in `simd.py`, each has a NumPy body and a
lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from ..isa import ISA
from ..simd import at, load_f16x16
from ..trace import (
    HALF,
    I8,
    I16,
    I32,
    I64,
    LANES,
    declared,
    f32x16,
    i32,
    i32x16,
    i64,
    intrinsic,
    primitive,
    unrolled,
    void,
)

BYTES = ir.VectorType(I8, 64)
WORDS = ir.VectorType(I16, 32)
FOUR = (i32x16,) * 4


# --- memory ---------------------------------------------------------------------------------------


def _lower_header(b: Any, address: Any) -> Any:
    kind = ir.VectorType(HALF, LANES)
    raw = b.load(b.inttoptr(address, kind.as_pointer()), align=1)
    if ISA == "avx2":  # `generic` loses a fifth, others were not measured
        raw.set_metadata("invariant.load", b.module.add_metadata([]))
    return b.fpext(raw, f32x16.llvm)


@primitive(f32x16, (i64,), _lower_header)
def header_f16x16(address: int) -> np.ndarray:
    """16 float16 numbers of a unit's header, which nobody writes while a kernel runs: on AVX2 LLVM
    reads them once for all of the unit's blocks, 3 to 9 % of a product with one row.
    """
    return load_f16x16(address)


# --- bytes ----------------------------------------------------------------------------------------


def byte_table(name: str, levels: Sequence[int]) -> Callable[[Any], Any]:
    """A primitive that replaces each byte, 0..15, by its entry of `levels` (16 unsigned bytes)."""
    lower = {"avx512vnni": _shuffle_512, "avx512": _shuffle_512}.get(ISA, _choose)
    if ISA in ("avxvnni", "avx2"):
        lower = _shuffle_256

    def body(codes: np.ndarray) -> np.ndarray:
        return np.array(levels, np.uint8)[codes.view(np.uint8)].view(np.int32)

    body.__name__ = name
    wrapped = primitive(i32x16, (i32x16,), lambda b, codes: lower(b, codes, list(levels)))
    return wrapped(body)


def _shuffle_512(b: Any, codes: Any, levels: list[int]) -> Any:
    table = ir.Constant(BYTES, levels * 4)
    found = intrinsic(b, "llvm.x86.avx512.pshuf.b.512", BYTES, table, b.bitcast(codes, BYTES))
    return b.bitcast(found, i32x16.llvm)


def _shuffle_256(b: Any, codes: Any, levels: list[int]) -> Any:
    half = ir.VectorType(I8, 32)
    raw, table, parts = b.bitcast(codes, BYTES), ir.Constant(half, levels * 2), []
    for first in (0, 32):
        part = _pick(b, raw, raw, list(range(first, first + 32)))
        parts.append(intrinsic(b, "llvm.x86.avx2.pshuf.b", half, table, part))
    return b.bitcast(_pick(b, parts[0], parts[1], list(range(64))), i32x16.llvm)


def _choose(b: Any, codes: Any, levels: list[int]) -> Any:
    """A tree of choices, one level for each bit of the code: for any instruction set."""
    raw, zero = b.bitcast(codes, BYTES), ir.Constant(BYTES, [0] * 64)
    choices = [ir.Constant(BYTES, [level] * 64) for level in levels]
    for bit in (1, 2, 4, 8):
        on = b.icmp_unsigned("!=", b.and_(raw, ir.Constant(BYTES, [bit] * 64)), zero)
        choices = [
            b.select(on, odd, even) for even, odd in zip(choices[::2], choices[1::2], strict=True)
        ]
    return b.bitcast(choices[0], i32x16.llvm)


def _pick(b: Any, x: Any, y: Any, lanes: list[int]) -> Any:
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def _lower_digits(b: Any, packed: Any, power: Any) -> Any:
    """Products that wrap at 256, of odd and even bytes; then one for > 85 and one for > 170."""
    one = ir.Constant(WORDS, ir.Undefined)
    one = b.insert_element(one, b.trunc(power, I16), ir.Constant(I32, 0))
    power, words = _pick(b, one, one, [0] * 32), b.bitcast(packed, WORDS)
    upper, lower = (ir.Constant(WORDS, [mask] * 32) for mask in (0xFF00, 0x00FF))
    odd, even = b.mul(b.and_(words, upper), power), b.and_(b.mul(words, power), lower)
    product = b.bitcast(b.or_(odd, even), BYTES)
    most = ir.Constant(BYTES, [1] * 64)
    above = []
    for third in (85, 170):
        rest = intrinsic(b, "llvm.usub.sat.v64i8", BYTES, product, ir.Constant(BYTES, [third] * 64))
        above.append(intrinsic(b, "llvm.umin.v64i8", BYTES, rest, most))
    return b.bitcast(b.add(*above), i32x16.llvm)


@primitive(i32x16, (i32x16, i32), _lower_digits)
def digits_3(packed: np.ndarray, power: int) -> np.ndarray:
    """Base-3 digits of bytes that are fractions of 256: ((byte * power mod 256) * 3) >> 8."""
    shifted = packed.view(np.uint8).astype(np.uint16) * np.uint16(power) & np.uint16(255)
    return (shifted * np.uint16(3) >> np.uint16(8)).astype(np.uint8).view(np.int32)


# --- memory --------------------------------------------------------------------------------------


def _lower_prefetch(b: Any, address: Any, keep: int) -> None:
    pointer = b.inttoptr(address, I8.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
    numbers = [ir.Constant(I32, n) for n in (0, keep, 1)]  # to read, how near, data
    b.call(declared(b, kind, "llvm.prefetch.p0"), [pointer, *numbers])


@primitive(void, (i64,), lambda b, address: _lower_prefetch(b, address, 3))
def prefetch(address: int) -> None:
    """Ask for the cache line at `address`, which need not be readable."""


@primitive(void, (i64,), lambda b, address: _lower_prefetch(b, address, 2))
def prefetch_second(address: int) -> None:
    """The same, but only as near as the second-level cache."""


@primitive(void, (i64,), lambda b, address: _lower_prefetch(b, address, 0))
def prefetch_once(address: int) -> None:
    """The same for a line that is read once: it drives no other out of the last cache."""


# --- rows to lanes --------------------------------------------------------------------------------


def _row_addresses(b: Any, address: Any, stride: Any, count: int) -> list[Any]:
    return [b.add(address, b.mul(stride, ir.Constant(I64, row))) for row in range(count)]


def _lower_quad(b: Any, address: Any, stride: Any) -> Any:
    four = ir.VectorType(I32, 4)
    rows = [
        b.load(b.inttoptr(a, four.as_pointer()), align=1)
        for a in _row_addresses(b, address, stride, 4)
    ]
    low = _pick(b, rows[0], rows[1], list(range(8)))
    high = _pick(b, rows[2], rows[3], list(range(8)))
    return _pick(b, low, high, list(range(16)))


@primitive(i32x16, (i64, i64), _lower_quad)
def load_quad(address: int, stride: int) -> np.ndarray:
    """Four words of each of four rows, side by side."""
    return np.concatenate([at(address + row * stride, np.int32, 4) for row in range(4)])


def _column(name: str, number: ir.Type, dtype: Any) -> Callable[[Any, Any], Any]:
    """A primitive that reads one unsigned number of each of 16 rows, `stride` bytes apart."""

    def lower(b: Any, address: Any, stride: Any) -> Any:
        out = ir.Constant(ir.VectorType(number, LANES), ir.Undefined)
        for row, a in enumerate(_row_addresses(b, address, stride, LANES)):
            one = b.load(b.inttoptr(a, number.as_pointer()), align=1)
            out = b.insert_element(out, one, ir.Constant(I32, row))
        return out if number is I32 else b.zext(out, i32x16.llvm)

    def body(address: int, stride: int) -> np.ndarray:
        rows = [at(address + row * stride, dtype, 1) for row in range(LANES)]
        return np.concatenate(rows).astype(np.int32)

    body.__name__ = name
    return primitive(i32x16, (i64, i64), lower)(body)


load_column = _column("load_column", I32, np.int32)
load_column_16 = _column("load_column_16", I16, np.uint16)
load_column_8 = _column("load_column_8", I8, np.uint8)


def _mix(name: str, first: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """A primitive that picks from each four lanes of x (0..3) and y (4..7) those of `first`."""
    lanes = [4 * group + k % 4 + 16 * (k // 4) for group in range(4) for k in first]

    def body(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.concatenate([x, y])[lanes]

    body.__name__ = name
    return primitive(i32x16, (i32x16, i32x16), lambda b, x, y: _pick(b, x, y, lanes))(body)


words_low, words_high = _mix("words_low", (0, 4, 1, 5)), _mix("words_high", (2, 6, 3, 7))
pairs_low, pairs_high = _mix("pairs_low", (0, 1, 4, 5)), _mix("pairs_high", (2, 3, 6, 7))


@unrolled(lambda address, stride: FOUR)
def load_columns(address: Any, stride: Any) -> Any:
    """Four words of each of 16 rows: vector e holds word e of all rows."""
    quads = [load_quad(address + row * stride, 4 * stride) for row in range(4)]
    low = words_low(quads[0], quads[1]), words_low(quads[2], quads[3])
    high = words_high(quads[0], quads[1]), words_high(quads[2], quads[3])
    return pairs_low(*low), pairs_high(*low), pairs_low(*high), pairs_high(*high)
