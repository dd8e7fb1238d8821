"""Recurrences over the rows of a step: (y, s') = f(s, x), one token after the other.

A sequence's first row in a step reads the state from where the step before left it and writes it
elsewhere; the rows after it go on in that new place. Every row is a step of its own, so how a
prompt is cut into steps cannot change a bit, and a step that fails leaves the old state whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .simd import at
from .tape import Tape

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
SMALL = 16384  # numbers that one thread handles sooner than two agree on
# One token: (state, inputs of the row ..., weights ...) -> (output of the row, next state).
Formula = Callable[..., tuple[Any, Any]]


@dataclass(frozen=True)
class State:
    """A layer's part of every row's state: addresses to read and write [rows, 2], place, shape."""

    rows: I64
    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Recurrence:
    """A formula, and what records its kernel on a tape if there is one."""

    formula: Formula
    emit: Callable[..., None] | None = None


def run_formula(
    formula: Formula,
    number: DTypeLike,
    state: State,
    inputs: Sequence[NDArray[Any]],
    weights: Sequence[NDArray[Any] | float | None],
    out: NDArray[Any],
) -> None:
    """Carry out a formula row by row in float64; states are kept as `number`."""
    constants = [None if w is None else np.asarray(w, np.float64) for w in weights]
    count = int(np.prod(state.shape))
    for row, (source, target) in enumerate(state.rows):
        old = at(int(source) + state.offset, number, count).reshape(state.shape)
        values = [np.asarray(x[row], np.float64) for x in inputs]
        y, new = formula(np.asarray(old, np.float64), *values, *constants)
        at(int(target) + state.offset, number, count)[...] = np.asarray(new).reshape(-1)
        out[row] = np.reshape(y, out.shape[1:])


def row_bytes(x: NDArray[Any]) -> int:
    """Bytes from one row of a kernel's input to the next. Raises ValueError if a row has gaps."""
    if len(x) and not x[0].flags.c_contiguous:
        raise ValueError(f"rows of shape {x.shape[1:]}, strides {x.strides[1:]}: expected no gaps")
    return x.strides[0]


def held(tape: Tape, numbers: Any) -> NDArray[np.float32]:
    """A recurrence's weights as the kernel reads them, held by the tape."""
    array = np.ascontiguousarray(numbers, np.float32)
    tape.keep(array)
    return array


def shares(units: int, numbers: int, threads: int) -> int:
    """In how many parts to cut `units` of work over `numbers` numbers."""
    return 1 if numbers <= SMALL else min(units, 4 * threads)
