"""Vectors as values: 16 numbers in one name, so that a kernel reads as algebra.

    f32x16   i32x16   16 lanes; lane r belongs to output row (or key, or column) r

An i32x16 is also 64 bytes, four to a lane: `(codes >> 4) & 0x0F0F0F0F` unpacks 64 nibbles at once.
`trace.py` says how primitives and unrolled functions work. Addresses are int64.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .trace import (
    DOUBLE,
    FLOAT,
    HALF,
    I8,
    I16,
    I32,
    I64,
    LANES,
    Vec,
    bool16,
    declared,
    f32,
    f32x16,
    f64,
    f64x8,
    i32,
    i32x16,
    i64,
    intrinsic,
    primitive,
    unrolled,
    vectors,
    void,
)


def _load(element: Any) -> Callable[[Any, Any], Any]:
    return lambda b, address: b.load(b.inttoptr(address, element.as_pointer()), align=1)


def _store(b: Any, address: Any, value: Any) -> None:
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=1)


def at(address: int, dtype: Any, count: int) -> np.ndarray:
    """The `count` numbers of `dtype` at `address`, as an array over that memory."""
    size = np.dtype(dtype).itemsize * count
    return np.frombuffer((ctypes.c_char * size).from_address(int(address)), dtype)


def _splat(b: Any, vector: ir.VectorType, scalar: Any) -> Any:
    one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    zero = ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count)
    return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zero)


# --- memory ---------------------------------------------------------------------------------------


def _loader(name: str, kind: Any, element: Any, dtype: Any, count: int, widen: str = "") -> Any:
    """A primitive that reads `count` numbers of `dtype` and widens them to `kind`."""

    def lower(b: Any, address: Any) -> Any:
        raw = _load(element)(b, address)
        return getattr(b, widen)(raw, kind.llvm) if widen else raw

    def body(address: int) -> Any:
        got = at(address, dtype, count).astype(kind.dtype)
        return got if isinstance(kind, Vec) else got[0]

    body.__name__ = name
    return primitive(kind, (i64,), lower)(body)


def of_type(element: ir.Type, count: int = LANES) -> ir.VectorType:
    """The LLVM type of `count` elements."""
    return ir.VectorType(element, count)


load_f32x16 = _loader("load_f32x16", f32x16, f32x16.llvm, np.float32, LANES)
load_f16x16 = _loader("load_f16x16", f32x16, of_type(HALF), np.float16, LANES, "fpext")
load_i32x16 = _loader("load_i32x16", i32x16, i32x16.llvm, np.int32, LANES)
load_u8x16 = _loader("load_u8x16", i32x16, of_type(I8), np.uint8, LANES, "zext")
load_i8x16 = _loader("load_i8x16", i32x16, of_type(I8), np.int8, LANES, "sext")
load_u16x16 = _loader("load_u16x16", i32x16, of_type(I16), np.uint16, LANES, "zext")
load_f32 = _loader("load_f32", f32, FLOAT, np.float32, 1)
load_f16 = _loader("load_f16", f32, HALF, np.float16, 1, "fpext")
load_f64x8 = _loader("load_f64x8", f64x8, f64x8.llvm, np.float64, LANES // 2)
load_f64 = _loader("load_f64", f64, DOUBLE, np.float64, 1)
load_i32 = _loader("load_i32", i32, I32, np.int32, 1)
load_i64 = _loader("load_i64", i64, I64, np.int64, 1)
load_u8 = _loader("load_u8", i64, I8, np.uint8, 1, "zext")


def _storer(name: str, kind: Any, element: Any, dtype: Any, count: int, narrow: str = "") -> Any:
    """A primitive that narrows `kind` to `count` numbers of `dtype` and writes them."""

    def lower(b: Any, address: Any, value: Any) -> None:
        _store(b, address, getattr(b, narrow)(value, element) if narrow else value)

    def body(address: int, value: Any) -> None:
        with np.errstate(over="ignore"):
            at(address, dtype, count)[...] = np.asarray(value).astype(dtype)

    body.__name__ = name
    return primitive(void, (i64, kind), lower)(body)


store_f32x16 = _storer("store_f32x16", f32x16, f32x16.llvm, np.float32, LANES)
store_f16x16 = _storer("store_f16x16", f32x16, of_type(HALF), np.float16, LANES, "fptrunc")
store_i32x16 = _storer("store_i32x16", i32x16, i32x16.llvm, np.int32, LANES)
store_i16x16 = _storer("store_i16x16", i32x16, of_type(I16), np.int16, LANES, "trunc")
store_i8x16 = _storer("store_i8x16", i32x16, of_type(I8), np.int8, LANES, "trunc")
store_f32 = _storer("store_f32", f32, FLOAT, np.float32, 1)
store_f16 = _storer("store_f16", f32, HALF, np.float16, 1, "fptrunc")
store_f64x8 = _storer("store_f64x8", f64x8, f64x8.llvm, np.float64, LANES // 2)
store_f64 = _storer("store_f64", f64, DOUBLE, np.float64, 1)
store_i32 = _storer("store_i32", i32, I32, np.int32, 1)
store_i64 = _storer("store_i64", i64, I64, np.int64, 1)
store_u8 = _storer("store_u8", i64, I8, np.uint8, 1, "trunc")


def _lower_fence(b: Any, address: Any) -> None:
    b.call(ir.InlineAsm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", True), [])


@primitive(void, (i64,), _lower_fence)
def fence(address: int) -> None:
    """LLVM reads what is written above here before what is written below (any address will do)."""


# --- arithmetic -----------------------------------------------------------------------------------


@primitive(f32x16, (f32,), lambda b, x: _splat(b, f32x16.llvm, x))
def splat(x: float) -> np.ndarray:
    """`x` in every lane."""
    return np.full(LANES, x, np.float32)


@primitive(i32x16, (i32,), lambda b, x: _splat(b, i32x16.llvm, x))
def isplat(x: int) -> np.ndarray:
    """`x` in every lane."""
    return np.full(LANES, x, np.int32)


@primitive(i32x16, (), lambda b: ir.Constant(i32x16.llvm, list(range(LANES))))
def iota() -> np.ndarray:
    """0, 1, ... 15."""
    return np.arange(LANES, dtype=np.int32)


@primitive(
    f32x16, (f32x16,) * 3, lambda b, x, y, z: intrinsic(b, "llvm.fma.v16f32", x.type, x, y, z)
)
def fma(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x * y + z, rounded once: the float64 sum is rounded to odd first, so float32 rounds only
    once.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.multiply(x, y, dtype=np.float64)
        total = np.add(product, z, dtype=np.float64)
        back = total - product
        error = (product - (total - back)) + (z - back)
        even = (total.view(np.int64) & 1) == 0
        toward = np.where(error > 0, np.inf, -np.inf)
        inexact = (error != 0) & even & np.isfinite(total)
        return np.where(inexact, np.nextafter(total, toward), total).astype(np.float32)


@primitive(f32x16, (f32x16, f32x16), lambda b, x, y: b.fdiv(x, y))
def div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.divide(x, y)


@primitive(f32, (f32,), lambda b, x: intrinsic(b, "llvm.sqrt.f32", FLOAT, x))
def sqrt(x: float) -> Any:
    """The square root of one number."""
    return np.sqrt(np.float32(x))


@primitive(f32x16, (f32x16,), lambda b, x: intrinsic(b, "llvm.rint.v16f32", x.type, x))
def rint(x: np.ndarray) -> np.ndarray:
    """The nearest whole number, halves to even."""
    return np.rint(x)


@primitive(i32x16, (f32x16,), lambda b, x: b.fptosi(x, i32x16.llvm))
def to_i32(x: np.ndarray) -> np.ndarray:
    """Whole numbers from floats that hold them."""
    return x.astype(np.int32)


@primitive(f32x16, (i32x16,), lambda b, x: b.sitofp(x, f32x16.llvm))
def to_f32(x: np.ndarray) -> np.ndarray:
    """Floats from whole numbers."""
    return x.astype(np.float32)


@primitive(f32x16, (i32x16,), lambda b, x: b.bitcast(x, f32x16.llvm))
def as_f32(x: np.ndarray) -> np.ndarray:
    """The same bits, read as floats."""
    return x.view(np.float32)


@primitive(i32x16, (f32x16,), lambda b, x: b.bitcast(x, i32x16.llvm))
def as_i32(x: np.ndarray) -> np.ndarray:
    """The same bits, read as whole numbers."""
    return x.view(np.int32)


@primitive(i32x16, (i32x16, i32), lambda b, x, n: b.lshr(x, _splat(b, i32x16.llvm, n)))
def shift_right(x: np.ndarray, n: int) -> np.ndarray:
    """Each lane's bits moved n down, zeros from above."""
    return (x.view(np.uint32) >> np.uint32(n)).view(np.int32)


@primitive(i32x16, (i32x16, i32), lambda b, x, n: b.shl(x, _splat(b, i32x16.llvm, n)))
def shift_left(x: np.ndarray, n: int) -> np.ndarray:
    """Each lane's bits moved n up."""
    return (x.view(np.uint32) << np.uint32(n)).view(np.int32)


def _lower_rotate(b: Any, x: Any, n: Any) -> Any:
    return intrinsic(b, "llvm.fshr.v16i32", x.type, x, x, _splat(b, i32x16.llvm, n))


@primitive(i32x16, (i32x16, i32), _lower_rotate)
def rotate_right(x: np.ndarray, n: int) -> np.ndarray:
    """Each lane's bits moved n down, those that fall out come in from above; n may be negative."""
    bits, down = x.view(np.uint32), np.uint32(int(n) & 31)
    return (bits >> down | bits << (-down & np.uint32(31))).view(np.int32)


def halves(b: Any, vector: Any) -> list[Any]:
    """The first and the second half of a vector, as LLVM values."""
    count = vector.type.count // 2
    undefined = ir.Constant(vector.type, ir.Undefined)
    pick = [ir.Constant(of_type(I32, count), list(range(k, k + count))) for k in (0, count)]
    return [b.shuffle_vector(vector, undefined, lanes) for lanes in pick]


def join(b: Any, low: Any, high: Any) -> Any:
    """Two halves as one vector."""
    lanes = list(range(2 * low.type.count))
    return b.shuffle_vector(low, high, ir.Constant(of_type(I32, len(lanes)), lanes))


# --- comparing and summing lanes ------------------------------------------------------------------


@primitive(bool16, (i32x16, i32x16), lambda b, x, y: b.icmp_signed("<", x, y))
def less(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which lanes of x are below y's."""
    return x < y


@primitive(bool16, (f32x16, f32x16), lambda b, x, y: b.fcmp_ordered(">", x, y))
def exceeds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which lanes of x are above y's."""
    return x > y


@primitive(f32x16, (bool16, f32x16, f32x16), lambda b, m, x, y: b.select(m, x, y))
def select(mask: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x where the mask holds, else y."""
    return np.where(mask, x, y)


@primitive(f32x16, (f32x16,) * 2, lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y))
def vmax(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The larger of each pair; y where either is not a number."""
    return np.where(x > y, x, y)


@primitive(f32x16, (f32x16,) * 2, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y))
def vmin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The smaller of each pair; y where either is not a number."""
    return np.where(x < y, x, y)


@primitive(f32x16, (f32x16,), lambda b, x: intrinsic(b, "llvm.fabs.v16f32", x.type, x))
def vabs(x: np.ndarray) -> np.ndarray:
    """Without the sign."""
    return np.abs(x)


def _tree(combine: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def lower(b: Any, x: Any) -> Any:
        while x.type.count > 1:
            x = combine(b, *halves(b, x))
        return b.extract_element(x, ir.Constant(I32, 0))

    return lower


@primitive(f32, (f32x16,), _tree(lambda b, x, y: b.fadd(x, y)))
def sum_lanes(x: np.ndarray) -> Any:
    """The sum of 16 lanes, always as a tree: 16 = 8 + 8, 8 = 4 + 4, 4 = 2 + 2, 2 = 1 + 1."""
    while len(x) > 1:
        x = x[: len(x) // 2] + x[len(x) // 2 :]
    return x[0]


@primitive(f32, (f32x16,), _tree(lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y)))
def max_lanes(x: np.ndarray) -> Any:
    """The largest lane."""
    while len(x) > 1:
        x = vmax(x[: len(x) // 2], x[len(x) // 2 :])
    return x[0]


def _isum(b: Any, x: Any) -> Any:
    return _tree(lambda b, x, y: b.add(x, y))(b, x)


@primitive(i32, (i32x16,), _isum)
def isum_lanes(x: np.ndarray) -> Any:
    """The sum of 16 whole numbers."""
    return x.sum(dtype=np.int32)


def _lower_shuffle(lanes: list[int]) -> Callable[..., Any]:
    return lambda b, x, y: b.shuffle_vector(x, y, ir.Constant(i32x16.llvm, lanes))


@primitive(f32x16, (f32x16,) * 2, _lower_shuffle(list(range(0, 32, 2))))
def evens(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Numbers 0, 2, 4 ... of the 32 in x and y."""
    return np.concatenate([x, y])[::2]


@primitive(f32x16, (f32x16,) * 2, _lower_shuffle(list(range(1, 32, 2))))
def odds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Numbers 1, 3, 5 ... of the 32 in x and y."""
    return np.concatenate([x, y])[1::2]


@primitive(f32x16, (f32x16,) * 2, _lower_shuffle([16 * (k & 1) + k // 2 for k in range(16)]))
def zip_low(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 ... x7, y7."""
    return np.stack([x[:8], y[:8]], axis=1).ravel()


@primitive(f32x16, (f32x16,) * 2, _lower_shuffle([16 * (k & 1) + 8 + k // 2 for k in range(16)]))
def zip_high(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x8, y8, x9, y9 ... x15, y15."""
    return np.stack([x[8:], y[8:]], axis=1).ravel()


# --- tuples of vectors: the accumulators of a micro-kernel ----------------------------------------


@unrolled(lambda count: vectors(count.literal_value), literal="count")
def zeros(count: int) -> tuple[np.ndarray, ...]:
    """`count` vectors of zeros."""
    return (np.zeros(LANES, np.float32),) * count


@unrolled(lambda totals, vecs, address, stride: totals)
def rank1(totals: Any, vecs: Any, address: int, stride: int) -> Any:
    """totals[i, v] + a[i] * vecs[v], where a[i] is the float32 at address + i * stride; v runs
    fastest.
    """
    rows = len(totals) // len(vecs)
    out = []
    for i in range(rows):
        a = splat(load_f32(address + i * stride))
        out += [fma(a, vec, totals[i * len(vecs) + v]) for v, vec in enumerate(vecs)]
    return tuple(out)


@unrolled(lambda totals, address, stride: void)
def store_rows(totals: Any, address: int, stride: int) -> None:
    """Write each vector `stride` bytes after the one before."""
    for i, total in enumerate(totals):
        store_f32x16(address + i * stride, total)


def _lower_store_first(b: Any, address: Any, value: Any, count: Any) -> None:
    mask = b.icmp_signed(
        "<", ir.Constant(i32x16.llvm, list(range(LANES))), _splat(b, i32x16.llvm, count)
    )
    kinds = [f32x16.llvm, f32x16.llvm.as_pointer(), I32, mask.type]
    store = ir.FunctionType(ir.VoidType(), kinds)
    function = declared(b, store, "llvm.masked.store.v16f32.p0")
    pointer = b.inttoptr(address, f32x16.llvm.as_pointer())
    b.call(function, [value, pointer, ir.Constant(I32, 4), mask])


@primitive(void, (i64, f32x16, i32), _lower_store_first)
def store_first(address: int, value: np.ndarray, count: int) -> None:
    """Write the first `count` lanes."""
    at(address, np.float32, count)[...] = value[:count]


@unrolled(lambda totals, address, stride, count: void)
def store_part(totals: Any, address: int, stride: int, count: int) -> None:
    """Write the first `count` lanes of each vector."""
    for i, total in enumerate(totals):
        store_first(address + i * stride, total, count)


def _lower_load_first(b: Any, address: Any, count: Any) -> Any:
    mask = b.icmp_signed(
        "<", ir.Constant(i32x16.llvm, list(range(LANES))), _splat(b, i32x16.llvm, count)
    )
    kinds = [f32x16.llvm.as_pointer(), I32, mask.type, f32x16.llvm]
    load = ir.FunctionType(f32x16.llvm, kinds)
    function = declared(b, load, "llvm.masked.load.v16f32.p0")
    pointer = b.inttoptr(address, f32x16.llvm.as_pointer())
    return b.call(
        function, [pointer, ir.Constant(I32, 4), mask, ir.Constant(f32x16.llvm, [0.0] * LANES)]
    )


@primitive(f32x16, (i64, i32), _lower_load_first)
def load_first(address: int, count: int) -> np.ndarray:
    """The first `count` lanes; the rest are zero."""
    out = np.zeros(LANES, np.float32)
    out[:count] = at(address, np.float32, count)
    return out
