"""Trace vector code to LLVM: primitives with two bodies, and loops that run at compile time.

A primitive is a NumPy function, which runs with NUMBA_DISABLE_JIT=1, paired with a lowering to
LLVM, which Numba compiles; both give the same bits. An `unrolled` function is plain Python over
primitives: while its caller is compiled it runs on `Traced` values, and whatever it calls is
emitted once per turn of its loops.

Nothing here needs Numba: `compiler.py` hands over what is `PENDING` before it compiles a kernel. A
start that finds all its kernels in the cache does without.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

LANES = 16


class Scalar:
    """The type of a number, or of nothing."""

    def __init__(self, name: str, llvm: ir.Type | None) -> None:
        self.name, self.llvm = name, llvm

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.name)


class Vec:
    """The type of a vector of `lanes` numbers of NumPy type `dtype`."""

    def __init__(self, dtype: Any, lanes: int, element: ir.Type) -> None:
        self.dtype, self.lanes, self.element = np.dtype(dtype), lanes, element
        self.name = f"vec<{self.dtype}x{lanes}>"

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(self.element, self.lanes)


I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
HALF, FLOAT, DOUBLE = ir.HalfType(), ir.FloatType(), ir.DoubleType()
f32x16 = Vec(np.float32, LANES, FLOAT)
i32x16 = Vec(np.int32, LANES, I32)
f64x8 = Vec(np.float64, LANES // 2, DOUBLE)
bool16 = Vec(np.bool_, LANES, I1)
i64, i32 = Scalar("int64", I64), Scalar("int32", I32)
f32, f64 = Scalar("float32", FLOAT), Scalar("float64", DOUBLE)
void = Scalar("none", None)


@dataclass(frozen=True)
class Primitive:
    """A primitive as its caller's compiler sees it."""

    call: Callable[..., Any]
    body: Callable[..., Any]
    result: Any
    args: tuple[Any, ...]
    lower: Callable[..., Any]


@dataclass(frozen=True)
class Unrolled:
    """An unrolled function, how its result's type follows from its arguments', and which of them
    must be constants.
    """

    body: Callable[..., Any]
    typer: Callable[..., Any]
    fixed: tuple[int, ...]


PENDING: list[Primitive | Unrolled] = []


class Traced:
    """An LLVM value while an unrolled function is lowered; primitives called on it emit code."""

    def __init__(self, builder: Any, value: Any, kind: Any) -> None:
        self.builder, self.value, self.kind = builder, value, kind

    def _binary(self, other: Any, integer: str, real: str) -> Traced:
        b, whole = self.builder, self.kind not in (f32, f32x16)
        return Traced(
            b, getattr(b, integer if whole else real)(self.value, _value(self, other)), self.kind
        )

    def __add__(self, other: Any) -> Traced:
        return self._binary(other, "add", "fadd")

    def __sub__(self, other: Any) -> Traced:
        return self._binary(other, "sub", "fsub")

    def __mul__(self, other: Any) -> Traced:
        return self._binary(other, "mul", "fmul")

    def __and__(self, other: Any) -> Traced:
        return self._binary(other, "and_", "")

    def __or__(self, other: Any) -> Traced:
        return self._binary(other, "or_", "")

    __radd__, __rmul__ = __add__, __mul__


def constant(kind: Any, number: Any) -> Any:
    """An LLVM constant of one of the types above; one number fills all lanes."""
    if isinstance(kind, Vec):
        return ir.Constant(kind.llvm, np.broadcast_to(number, kind.lanes).tolist())
    return ir.Constant(kind.llvm, number)


def _as(kind: Any, given: Any) -> Any:
    if not isinstance(given, Traced):
        return constant(kind, given)
    if (given.kind, kind) == (i64, i32):
        return given.builder.trunc(given.value, I32)
    return given.value


def _value(like: Traced, other: Any) -> Any:
    return other.value if isinstance(other, Traced) else constant(like.kind, other)


def primitive(
    result: Any, args: tuple[Any, ...], lower: Callable[..., Any]
) -> Callable[[Any], Any]:
    """Pair the NumPy body below with `lower(builder, *llvm values) -> llvm value`."""

    def wrap(body: Callable[..., Any]) -> Any:
        def call(*given: Any) -> Any:
            traced = next((g for g in given if isinstance(g, Traced)), None)
            if traced is None:
                return body(*given)
            values = [_as(kind, g) for g, kind in zip(given, args, strict=True)]
            return Traced(traced.builder, lower(traced.builder, *values), result)

        functools.update_wrapper(call, body)
        PENDING.append(Primitive(call, body, result, args, lower))
        return call

    return wrap


def unrolled(typer: Callable[..., Any], literal: str = "") -> Callable[[Any], Any]:
    """Make the body below callable in kernels: it runs while its caller is compiled.

    `typer(*Numba types) -> result type`, one of theirs or of those above, or a tuple of them.
    Arguments named in `literal` must be constants in the caller, and reach the body as Python ints.
    """

    def wrap(body: Callable[..., Any]) -> Any:
        names = list(inspect.signature(body).parameters)
        PENDING.append(Unrolled(body, typer, tuple(names.index(name) for name in literal.split())))
        return body

    return wrap


def vectors(count: int) -> Any:
    """The type of a tuple of `count` f32x16."""
    return (f32x16,) * count


def declared(b: Any, kind: ir.FunctionType, name: str) -> Any:
    """The function `name` in the module that is built."""
    known = b.module.globals.get(name)
    return ir.Function(b.module, kind, name) if known is None else known


def intrinsic(b: Any, name: str, result: Any, *args: Any) -> Any:
    """Call the LLVM intrinsic `name`."""
    kind = ir.FunctionType(result, [a.type for a in args])
    return b.call(declared(b, kind, name), args)
