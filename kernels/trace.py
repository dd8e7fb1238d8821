"""Trace vector code to LLVM: primitives with two bodies, and loops that run at compile time.

A primitive is a NumPy function, which runs with NUMBA_DISABLE_JIT=1, paired with a lowering to
LLVM, which Numba compiles; both give the same bits. An `unrolled` function is plain Python over
primitives: while its caller is compiled it runs on `Traced` values, and whatever it calls is
emitted once per turn of its loops.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, models, register_model, type_callable

LANES = 16


class Vec(types.Type):
    """Numba's type of a vector of `lanes` numbers of NumPy type `dtype`."""

    def __init__(self, dtype: Any, lanes: int, element: ir.Type) -> None:
        self.dtype, self.lanes, self.element = np.dtype(dtype), lanes, element
        super().__init__(name=f"vec<{self.dtype}x{lanes}>")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(self.element, self.lanes)


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vec) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
HALF, FLOAT = ir.HalfType(), ir.FloatType()
f32x16 = Vec(np.float32, LANES, FLOAT)
i32x16 = Vec(np.int32, LANES, I32)
bool16 = Vec(np.bool_, LANES, I1)
i64, f32, i32, void = types.int64, types.float32, types.int32, types.none
SCALARS = {i64: I64, i32: I32, f32: FLOAT}


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
    """An LLVM constant of a Numba type; one number fills all lanes."""
    if isinstance(kind, Vec):
        return ir.Constant(kind.llvm, np.broadcast_to(number, kind.lanes).tolist())
    return ir.Constant(SCALARS[kind], number)


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
        type_callable(call)(lambda context: _typer(body, lambda *given: signature(result, *args)))

        @lower_builtin(call, *args)
        def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            out = lower(builder, *values)
            return context.get_dummy_value() if result is void else out

        return call

    return wrap


def _typer(body: Callable[..., Any], decide: Callable[..., Any]) -> Callable[..., Any]:
    """Numba reads a typer's signature: give it the body's."""

    def typer(*given: Any) -> Any:
        return decide(*given)

    typer.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
    return typer


def unrolled(typer: Callable[..., Any], literal: str = "") -> Callable[[Any], Any]:
    """Make the body below callable in kernels: it runs while its caller is compiled.

    `typer(*Numba types) -> result type`. Arguments named in `literal` must be constants in the
    caller, and reach the body as Python ints.
    """

    def wrap(body: Callable[..., Any]) -> Any:
        names = list(inspect.signature(body).parameters)
        fixed = [names.index(name) for name in literal.split()]

        def decide(*given: Any) -> Any:
            known = all(isinstance(given[i], types.IntegerLiteral) for i in fixed)
            return typer(*given) if known else None

        type_callable(body)(lambda context: _typer(body, decide))

        @lower_builtin(body, types.VarArg(types.Any))
        def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            given = [_enter(builder, v, k) for v, k in zip(values, sig.args, strict=True)]
            return _leave(context, builder, body(*given), sig.return_type)

        return body

    return wrap


def _enter(builder: Any, value: Any, kind: Any) -> Any:
    if isinstance(kind, types.IntegerLiteral):
        return kind.literal_value
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        return tuple(
            _enter(builder, builder.extract_value(value, i), k) for i, k in enumerate(kind)
        )
    return Traced(builder, value, kind)


def _plain(result: Any, kind: Any) -> Any:
    return result.value if isinstance(result, Traced) else constant(kind, result)


def _leave(context: Any, builder: Any, result: Any, kind: Any) -> Any:
    if kind is void:
        return context.get_dummy_value()
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        return context.make_tuple(
            builder, kind, [_plain(r, k) for r, k in zip(result, kind.types, strict=True)]
        )
    return _plain(result, kind)


def vectors(count: int) -> Any:
    """Numba's type of a tuple of `count` f32x16."""
    return types.UniTuple(f32x16, count)


def intrinsic(b: Any, name: str, result: Any, *args: Any) -> Any:
    """Call the LLVM intrinsic `name`."""
    kind = ir.FunctionType(result, [a.type for a in args])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), args)
