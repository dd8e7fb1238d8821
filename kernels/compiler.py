"""What Numba does for kernels: types, how traced code is typed and lowered, compilation.

Imported when something must be compiled (`_jit.py`). Numba learns of primitives and unrolled
functions (`trace.py`) just before it compiles what may call them.
"""

from __future__ import annotations

import gc
import inspect
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import numba
from numba import types
from numba.core import caching
from numba.core.ccallback import CFunc
from numba.core.registry import cpu_target
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable, typeof_impl

from . import inlining
from ._jit import OPTIONS, RAW, Inline, announce, cache_folder, compile_lock, source_digest
from .interrupts import held
from .machine_code import MachineCode
from .trace import (
    PENDING,
    Primitive,
    Traced,
    Unrolled,
    Vec,
    bool16,
    constant,
    f32,
    f32x16,
    f64,
    f64x8,
    i32,
    i32x16,
    i64,
    void,
)

# --- types ----------------------------------------------------------------------------------------


class VecType(types.Type):
    """Numba's type of a `Vec`."""

    def __init__(self, vec: Vec) -> None:
        self.vec = vec
        super().__init__(name=vec.name)


@register_model(VecType)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: VecType) -> None:
        super().__init__(dmm, fe_type, fe_type.vec.llvm)


_TYPES: dict[Any, Any] = {i64: types.int64, i32: types.int32, void: types.none}
_TYPES |= {f32: types.float32, f64: types.float64}
_TYPES |= {vec: VecType(vec) for vec in (f32x16, f64x8, i32x16, bool16)}
_KINDS = {numbas: ours for ours, numbas in _TYPES.items()}


def _type_of(kind: Any) -> Any:
    """Numba's type of one of ours, or of a tuple of them; its own stay."""
    if isinstance(kind, tuple):
        return types.Tuple([_type_of(one) for one in kind])
    return _TYPES.get(kind, kind)


@typeof_impl.register(Inline)
def _typeof_inline(value: Inline, context: Any) -> Any:
    return types.Dispatcher(value.dispatcher)


# --- traced code ----------------------------------------------------------------------------------


def _typer(body: Callable[..., Any], decide: Callable[..., Any]) -> Callable[..., Any]:
    """Numba reads a typer's signature: give it the body's."""

    def typer(*given: Any) -> Any:
        return decide(*given)

    typer.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
    return typer


def _define_primitive(one: Primitive) -> None:
    result, args = _type_of(one.result), [_type_of(kind) for kind in one.args]
    typer = _typer(one.body, lambda *given: signature(result, *args))
    type_callable(one.call)(lambda context: typer)

    @lower_builtin(one.call, *args)
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        out = one.lower(builder, *values)
        return context.get_dummy_value() if one.result is void else out


def _define_unrolled(one: Unrolled) -> None:
    def decide(*given: Any) -> Any:
        known = all(isinstance(given[i], types.IntegerLiteral) for i in one.fixed)
        return _type_of(one.typer(*given)) if known else None

    type_callable(one.body)(lambda context: _typer(one.body, decide))

    @lower_builtin(one.body, types.VarArg(types.Any))
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        given = [_enter(builder, v, k) for v, k in zip(values, sig.args, strict=True)]
        return _leave(context, builder, one.body(*given), sig.return_type)


def _enter(builder: Any, value: Any, kind: Any) -> Any:
    if isinstance(kind, types.IntegerLiteral):
        return kind.literal_value
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        return tuple(
            _enter(builder, builder.extract_value(value, i), k) for i, k in enumerate(kind)
        )
    return Traced(builder, value, _KINDS.get(kind, kind))


def _plain(result: Any, kind: Any) -> Any:
    return result.value if isinstance(result, Traced) else constant(_KINDS[kind], result)


def _leave(context: Any, builder: Any, result: Any, kind: Any) -> Any:
    if kind == types.none:
        return context.get_dummy_value()
    if isinstance(kind, (types.UniTuple, types.Tuple)):
        return context.make_tuple(
            builder, kind, [_plain(r, k) for r, k in zip(result, kind.types, strict=True)]
        )
    return _plain(result, kind)


def _define_operator(function: Any, vec: Vec, name: str) -> None:
    kind = _type_of(vec)
    template = type(name, (ConcreteTemplate,), {"cases": [signature(kind, kind, kind)]})
    infer_global(function)(template)
    lower_builtin(function, kind, kind)(lambda context, b, sig, values: getattr(b, name)(*values))


for _operator, _integer, _real in (
    (operator.add, "add", "fadd"),
    (operator.sub, "sub", "fsub"),
    (operator.mul, "mul", "fmul"),
    (operator.and_, "and_", ""),
    (operator.or_, "or_", ""),
    (operator.xor, "xor", ""),
):
    _define_operator(_operator, i32x16, _integer)
    if _real:
        _define_operator(_operator, f32x16, _real)


def define_pending() -> None:
    """Hand over what was defined since the last time."""
    with compile_lock:
        while PENDING:
            one = PENDING.pop(0)
            if isinstance(one, Primitive):
                _define_primitive(one)
            else:
                _define_unrolled(one)


# --- compilation ----------------------------------------------------------------------------------


PATIENCE = 100_000  # new objects between two searches for garbage


@contextmanager
def _patience() -> Iterator[None]:
    """Numba keeps nearly all it makes: Python's searches for garbage take a tenth of the time."""
    often = gc.get_threshold()
    gc.set_threshold(max(PATIENCE, often[0]) if often[0] else 0, *often[1:])
    try:
        yield
    finally:
        gc.set_threshold(*often)


def ready() -> None:
    """Have Numba know all its functions, and machine code those that it calls."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()


def compile_native(function: Callable[..., None], words: int) -> MachineCode:
    """A C function of `words` int64 that returns nothing."""
    define_pending()
    made: Any = CFunc(function, ((types.int64,) * words, types.none), locals={}, options=RAW)
    with _patience(), held():
        made.compile()
    _, _, (code, _) = made._library.serialize_using_object_code()
    return MachineCode(made.native_name, code)


def helper(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """The dispatcher of a function that is compiled into its callers."""
    return numba.njit(forceinline=True, **inlining.options(), **options)(function)


def compile_at_call(function: Callable[..., Any]) -> Any:
    """The dispatcher of a function over arrays, with our cache."""
    define_pending()
    compiled = numba.njit(**OPTIONS)(function)
    if cache_folder() is not None:
        compiled._cache = _KernelCache(function)
    return compiled


class _TreeLocator(caching.UserWideCacheLocator):
    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_digest()


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes: ClassVar = [_TreeLocator]  # type: ignore[misc]


class _KernelCache(caching.FunctionCache):
    """Numba's cache with our folder."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # a torn, foreign or unreadable entry is compiled again
            self.flush()
            found = None
        if found is None:
            announce(self._py_func.__qualname__)
        return found

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (sig, codegen.magic_tuple(), self._py_func.__qualname__)

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full or read-only disk costs the cache, not the answer
            super().save_overload(sig, data)
