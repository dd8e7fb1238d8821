"""A step as a tape: kernel calls over fixed memory, recorded once and run as often as wanted.

Python records what a step does (`Tape.emit`); running it is one native call, so Python's own share
of a token stays small. Operations that touch nothing the others write are put in one group and run
side by side. What changes from step to step (token ids, positions, page tables) lies in arrays the
tape points to.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import inspect
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import DISABLED, inline, native
from .ahead import compile_together
from .isa import WHOLE_WORDS
from .simd import load_f32, load_i64
from .team import MAX_PARTS, OP_WORDS, Team
from .trace import f32, i64, primitive, unrolled, void

ENTRY_WORDS = 4
HERE = Path(__file__).parent


def _lower_tell_llvm(b: Any, address: Any) -> None:
    attributes = b.function.attributes
    attributes.alignstack = 64
    attributes.add("nounwind")  # llvmlite writes the other only beside one of these
    if WHOLE_WORDS:
        set.add(attributes, f'"target-features"="{WHOLE_WORDS}"')  # its own knows no such name


@primitive(void, (i64,), _lower_tell_llvm)
def tell_llvm(address: int) -> None:
    """How LLVM is to compile the function (any address will do).

    Vectors on its stack lie within cache lines. LLVM finds out that it needs such places when the
    register to align them by is taken. Four rows of Q6_K take 1.2 times as long where they cross
    lines. And vpdpwssd is not taken apart, `isa.py`.
    """


class Kernel:
    """A function over raw memory: `body(part, parts, thread, *words)`, cut in `parts` by its
    caller.

    Words annotated `float` are float32, the others int64 (addresses, sizes). Compiled when first
    used.
    """

    def __init__(self, name: str, body: Callable[..., Any]) -> None:
        parameters = list(inspect.signature(body).parameters.values())[3:]
        self.name, self.__doc__ = name, body.__doc__
        self.parameters = [parameter.name for parameter in parameters]
        self._real = [str(parameter.annotation) == "float" for parameter in parameters]
        self._body = body

    @functools.cached_property
    def key(self) -> str:
        """Its name in the cache."""
        return self.name + _origin(self._body)

    @functools.cached_property
    def address(self) -> int:
        """The address of the compiled entry."""
        return native(self.key, self._make_entry, ENTRY_WORDS)

    @functools.cached_property
    def _entry(self) -> Any:
        return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(self.address)

    def _make_entry(self) -> Callable[..., None]:
        body, unpack = inline(self._body), _unpacker(self._real)

        def entry(args, part, parts, thread):
            tell_llvm(args)
            body(part, parts, thread, *unpack(args))

        entry.__name__ = entry.__qualname__ = self.name
        return entry

    def words(self, values: Sequence[Any]) -> NDArray[np.int64]:
        """The arguments as the entry reads them: one 8-byte word each."""
        if len(values) != len(self._real):
            wanted = ", ".join(self.parameters)
            raise TypeError(f"{self.name}: {len(values)} arguments, expected {wanted}")
        words = [_word(*both) for both in zip(values, self._real, strict=True)]
        return np.array(words, np.int64)

    def run(self, part: int, parts: int, *values: Any) -> None:
        """Run one part now, in the calling thread."""
        words = self.words(values)
        if DISABLED:
            self._make_entry()(words.ctypes.data, part, parts, 0)
            return
        self._entry(address_of(words), part, parts, 0)


def _origin(body: Callable[..., Any]) -> str:
    """For a body from outside this folder, which the cache's own digest covers, its file's."""
    path = Path(body.__code__.co_filename)
    if HERE in path.parents:
        return ""
    try:
        text = path.read_bytes()
    except OSError:  # typed in
        text = body.__code__.co_code
    return f"_{hashlib.sha256(text).hexdigest()[:8]}"


def _word(value: Any, real: bool) -> int:
    if real:
        word: int = struct.unpack("=q", struct.pack("=fi", value, 0))[0]
        return word
    return address_of(value) if isinstance(value, np.ndarray) else value


def address_of(array: NDArray[Any]) -> int:
    """Where an array lies. A step of SmolLM2 asks thousands of times, and the first way takes a
    third of the time of the second or of `ctypes.data`.
    """
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # of what is empty, not contiguous or not to be written
        address: int = array.__array_interface__["data"][0]
        return address


def _unpacker(real: list[bool]) -> Any:
    kinds = tuple(f32 if r else i64 for r in real)

    def unpack(args):
        return tuple((load_f32 if r else load_i64)(args + 8 * i) for i, r in enumerate(real))

    return unrolled(lambda args: kinds)(unpack)


def kernel(name: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a kernel of the body below; `name` is unique among all variants and keys the cache."""
    return lambda body: Kernel(name, body)


class Tape:
    """Recorded operations, in order."""

    def __init__(self) -> None:
        self._spans: list[list[tuple[Kernel, NDArray[np.int64], int]] | Callable[[], None]] = []
        self._groups: list[list[int]] = []
        self._reads: list[tuple[int, int]] = []
        self._writes: list[tuple[int, int]] = []
        self._built: list[Any] | None = None
        self._kept: list[Any] = []

    def keep(self, thing: Any) -> None:
        """Hold on to memory that operations point to."""
        self._kept.append(thing)

    def emit(
        self,
        kernel: Kernel,
        parts: int,
        values: Sequence[Any],
        reads: Sequence[NDArray[Any]],
        writes: Sequence[NDArray[Any]],
    ) -> None:
        """Add one operation that reads and writes the given arrays (weights need no mention)."""
        incoming = [_extent(array) for array in reads]
        outgoing = [_extent(array) for array in writes]
        beside = self._writes and not (
            _overlap(incoming, self._writes) or _overlap(outgoing, self._writes + self._reads)
        )
        if not beside:
            self._close_group()
        if not self._spans or callable(self._spans[-1]):
            self._spans.append([])
            self._groups.append([])
        self._reads += incoming
        self._writes += outgoing
        span: Any = self._spans[-1]
        self._groups[-1].append(int(bool(beside)))
        span.append((kernel, kernel.words(values), max(1, min(parts, MAX_PARTS))))

    def _close_group(self) -> None:
        self._reads, self._writes = [], []

    def host(self, function: Callable[[], None]) -> None:
        """Add a Python function: a twin that has no kernel."""
        self._close_group()
        self._spans.append(function)
        self._groups.append([])

    def run(self, team: Team, threads: int) -> None:
        """Run all operations; the caller holds the team's lock."""
        if self._built is None:
            compile_together([one[0] for s in self._spans if not callable(s) for one in s])
            self._built = [_build(s, g) for s, g in zip(self._spans, self._groups, strict=True)]
        for item in self._built:
            if callable(item):
                item()
            elif DISABLED:
                _interpret(item[1])
            else:
                team.run(item[0], threads)


def _extent(array: NDArray[Any]) -> tuple[int, int]:
    if array.flags.c_contiguous:
        start = array.ctypes.data
        return start, start + array.nbytes
    low, high = np.lib.array_utils.byte_bounds(array)
    return int(low), int(high)


def _overlap(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> bool:
    return any(a < d and c < b for a, b in first for c, d in second)


def _build(span: Any, beside: list[int]) -> Any:
    """Operations as the team reads them: [function, arguments, parts, next runs beside]."""
    if callable(span):
        return span
    table = np.zeros((len(span), OP_WORDS), np.int64)
    if not DISABLED:
        for row, (kernel, words, parts), after in zip(table, span, [*beside[1:], 0], strict=True):
            row[:] = kernel.address, words.ctypes.data, parts, after
    return table, span


def _interpret(span: Any) -> None:
    for kernel, words, parts in span:
        entry = kernel._make_entry()
        for part in range(parts):
            entry(words.ctypes.data, part, parts, 0)
