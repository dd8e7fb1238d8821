"""Runs a recurrence over rows of several sequences, by its formula or by its kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.recurrence import Recurrence, State, run_formula
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

OFFSET = 64


class Runner:
    """Feeds rows in steps; `memory[sequence]` are two blocks that take turns, as in a session."""

    def __init__(self, recurrence: Recurrence, shape: tuple[int, ...], compiled: bool) -> None:
        self.recurrence, self.shape, self.compiled = recurrence, shape, compiled
        self.number = np.float32 if compiled else np.float64
        self.memory: dict[int, list[np.ndarray]] = {}

    def step(
        self,
        inputs: Sequence[np.ndarray],
        weights: Sequence[Any],
        width: Sequence[int],
        lengths: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Rows of sequences 0, 1, ... of the given lengths; returns [rows, *width]."""
        count = len(inputs[0])
        rows = []
        for sequence, length in enumerate(lengths or [count]):
            size = OFFSET // np.dtype(self.number).itemsize + int(np.prod(self.shape))
            blocks = self.memory.setdefault(sequence, [np.zeros(size, self.number) for _ in "ab"])
            old, new = (block.ctypes.data for block in blocks)
            rows += [(old, new)] + [(new, new)] * (length - 1)
            self.memory[sequence] = blocks[::-1]
        table = np.array(rows, np.int64)
        state = State(table, OFFSET, self.shape)
        out = np.zeros((count, *width), self.number)
        if not self.compiled:
            run_formula(self.recurrence.formula, self.number, state, inputs, weights, out)
            return out
        emit = self.recurrence.emit
        if emit is None:
            raise TypeError("this recurrence has no kernel")
        tape, threads = Tape(), 2
        held = [np.asarray(x, np.float32) for x in inputs]
        emit(tape, threads, state, held, weights, out)
        with team().lock:
            tape.run(team(), threads)
        return out


@pytest.fixture
def make_runner() -> Callable[..., Runner]:
    """`make_runner(recurrence, state_shape, compiled=...)`; `.step(inputs, weights, width)`."""
    return lambda recurrence, shape, compiled: Runner(recurrence, shape, compiled)
