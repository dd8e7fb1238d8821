"""One step's rows as arrays: token, position, sequence, keys in sight, rotary angles.

The arrays are views of memory that stays where it is, so that a recorded tape finds the next step's rows at
the same addresses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.ops import Angles
from ..kernels.rope import RopeTable
from ..kernels.spans import Spans
from .arch import Arch, Rope
from .cache import Sequence
from .hparams import HParams, RopeSpec

I64 = NDArray[np.int64]
Piece = tuple[Sequence, list[int]]


class Step:
    """Views of a StepMemory for some rows."""

    def __init__(self, memory: StepMemory, rows: int, outputs: int) -> None:
        self.tokens, self.positions = memory.tokens[:rows], memory.positions[:rows]
        self.outputs = memory.outputs[:outputs]
        self.tables: list[I64] = []
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
        self, arch: Arch, hparams: HParams, max_rows: int, longest: int, number: DTypeLike
    ) -> None:
        self.longest, self.halves = longest, arch.rope is Rope.HALVES
        self.tokens = np.zeros(max_rows, np.int64)
        self.positions = np.zeros(max_rows, np.int64)
        self.outputs = np.zeros(max_rows, np.int64)
        windows = {layer.window for layer in hparams.layers}
        self.spans = {window: np.zeros((max_rows, 3), np.int64) for window in windows}
        specs: set[RopeSpec] = {layer.rope for layer in hparams.layers}
        self._tables = {s: RopeTable(s.base, s.dim, s.divide, number) for s in specs}
        self.angles = {
            s: (np.zeros((max_rows, s.dim // 2), number), np.zeros((max_rows, s.dim // 2), number))
            for s in specs
        }

    def fill(self, pieces: list[Piece], outputs: I64) -> Step:
        """Write the rows of all pieces, in order; `outputs` are the rows whose logits are wanted."""
        rows = sum(len(ids) for _, ids in pieces)
        step = Step(self, rows, len(outputs))
        step.outputs[:] = outputs
        start = 0
        for sequence, ids in pieces:
            part = slice(start, start + len(ids))
            positions = np.arange(sequence.length, sequence.length + len(ids))
            self.tokens[part], self.positions[part] = ids, positions
            for window, spans in self.spans.items():
                spans[part, 0] = sequence.table.ctypes.data
                spans[part, 1] = np.maximum(0, positions - window + 1) if window else 0
                spans[part, 2] = positions
            step.tables += [sequence.table] * len(ids)
            start += len(ids)
        for spec, (cos, sin) in self.angles.items():
            self._tables[spec].look_up(self.positions[:rows], cos[:rows], sin[:rows])
        return step
