"""One step's rows as arrays: token, position, sequence, keys in sight, rotary angles.

The arrays are views of memory that stays where it is, so that a recorded tape finds the next
step's rows at the same addresses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.ops import Angles
from ..kernels.spans import Spans
from .arch import Arch, Rope, Window
from .cache import Sequence
from .errors import LMStudioValueError
from .hparams import HParams
from .rope_spec import rope_table
from .state import StateLayout

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Piece = tuple[Sequence, list[int]]


class Step:
    """Views of a StepMemory for some rows."""

    def __init__(self, memory: StepMemory, rows: int, outputs: int) -> None:
        self.tokens, self.positions = memory.tokens[:rows], memory.positions[:rows]
        self.outputs = memory.outputs[:outputs]
        self.state_rows = memory.state_rows[:rows]
        self.states = memory.layout.over(self.state_rows)
        self.tables: list[I64] = []
        self.source_tables: list[I64] = []
        # All keys of what each row's sequence answers to.
        self.source = Spans(memory.source[:rows], self.source_tables, memory.longest)
        self.spans = {
            window: Spans(spans[:rows], self.tables, memory.longest)
            for window, spans in memory.spans.items()
        }
        self.angles = {
            spec: Angles(cos[:rows], sin[:rows], memory.halves)
            for spec, (cos, sin) in memory.angles.items()
        }


class StepMemory:
    """Room for `max_rows` rows, and what fills it."""

    def __init__(
        self,
        arch: Arch,
        hparams: HParams,
        max_rows: int,
        longest: int,
        number: DTypeLike,
        factors: dict[str, F64] | None = None,
    ) -> None:
        """`factors` are the file's tables of rotary factors, by name."""
        self.arch = arch
        self.longest, self.halves = longest, arch.rope is Rope.HALVES
        self.tokens = np.zeros(max_rows, np.int64)
        self.positions = np.zeros(max_rows, np.int64)
        self.outputs = np.zeros(max_rows, np.int64)
        self.state_rows = np.zeros((max_rows, 2), np.int64)
        self.source = np.zeros((max_rows, 3), np.int64)
        self.layout = StateLayout(hparams, number)
        windows = {layer.window for layer in hparams.layers}
        self.spans = {window: np.zeros((max_rows, 3), np.int64) for window in windows}
        specs = {layer.rope for layer in hparams.layers if layer.rope}
        self._tables = {s: rope_table(s, factors or {}, longest, number) for s in specs}
        self.angles = {
            s: (np.zeros((max_rows, s.dim // 2), number), np.zeros((max_rows, s.dim // 2), number))
            for s in specs
        }
        self._shape, self._step = (0, 0), Step(self, 0, 0)

    def _first(self, positions: I64, window: int) -> I64 | int:
        """The first key that each position sees."""
        if not window:
            return 0
        if self.arch.window is Window.CHUNKED:
            return positions // window * window
        if self.arch.window is Window.CENTRED:
            return np.maximum(0, positions - window // 2)
        return np.maximum(0, positions - window + 1)

    def _last(self, positions: I64, window: int) -> I64:
        """The last key that each position sees."""
        if self.arch.causal:
            return positions
        if window and self.arch.window is Window.CENTRED:
            last: I64 = np.minimum(positions[-1], positions + window // 2)
            return last
        return np.full_like(positions, positions[-1])

    def fill(self, pieces: list[Piece], outputs: I64) -> Step:
        """Write the rows of all pieces, in order; `outputs` are rows whose logits are wanted,
        each once, ascending.

        The step before is used again where it has as many rows.
        """
        rows = sum(len(ids) for _, ids in pieces)
        if self._shape != (rows, len(outputs)):
            self._shape = rows, len(outputs)
            self._step = Step(self, *self._shape)
        step = self._step
        step.tables.clear()
        step.source_tables.clear()
        step.outputs[:] = outputs
        start = 0
        for sequence, ids in pieces:
            part = slice(start, start + len(ids))
            positions = np.arange(sequence.length, sequence.length + len(ids))
            self.tokens[part], self.positions[part] = ids, positions
            for window, spans in self.spans.items():
                spans[part, 0] = sequence.address
                spans[part, 1] = self._first(positions, window)
                spans[part, 2] = self._last(positions, window)
            if sequence.states is not None:
                source, target = sequence.states.begin()
                self.state_rows[part] = target
                self.state_rows[start, 0] = source
            if self.arch.source is not None:
                read = _source(sequence)
                self.source[part] = read.address, 0, read.length - 1
                step.source_tables += [read.table] * len(ids)
            step.tables += [sequence.table] * len(ids)
            start += len(ids)
        for spec, (cos, sin) in self.angles.items():
            self._tables[spec].look_up(self.positions[:rows], cos[:rows], sin[:rows])
        return step


def _source(sequence: Sequence) -> Sequence:
    if sequence.source is None:
        raise LMStudioValueError("this model answers to a source: found none, encode one first")
    return sequence.source
