"""Recurrent state of a sequence: one block of numbers, all that its recurrent layers remember.

A state stands for a position and cannot be cut back to an earlier one, so every step writes a new
block and the blocks before it are kept as checkpoints: few, closer together towards the end, within
a bound of bytes. `truncate` goes back to the nearest one; position 0, where everything is zero, is
always there. A block is never written again once its step is done, so forks share them all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..formats.errors import GGUFError
from ..kernels.pool import aligned
from ..kernels.recurrence import State
from .cache import Page, PagePool
from .hparams import HParams, LayerSpec

KEEP_BYTES = 256 << 20
KEEP_LEAST, KEEP_MOST = 2, 32
MOST_BYTES = 8 << 30  # of one block, ten times what the largest models have
ALIGN = 64
Shape = tuple[int, ...]


class StateLayout:
    """Where each layer's parts lie in a block: `parts[layer]` has (byte offset, shape) by name."""

    def __init__(self, hparams: HParams, number: DTypeLike) -> None:
        self.number, end = np.dtype(number), 0
        self.parts: list[dict[str, tuple[int, Shape]]] = []
        for layer in hparams.layers:
            places = {}
            for name, shape in _states(layer).items():
                places[name] = end, shape
                end += -(-int(np.prod(shape)) * self.number.itemsize // ALIGN) * ALIGN
            self.parts.append(places)
        if end > MOST_BYTES:
            raise GGUFError("recurrent state", None, f"{end} bytes", f"at most {MOST_BYTES}")
        self.bytes = end

    def over(self, rows: NDArray[np.int64]) -> list[dict[str, State]]:
        """Each layer's states over a step's rows; `rows` [rows, 2]: addresses to read and write."""
        return [
            {name: State(rows, *place) for name, place in places.items()} for places in self.parts
        ]


def _states(layer: LayerSpec) -> dict[str, Shape]:
    """All that a layer remembers."""
    found: dict[str, Shape] = {}
    for part in (layer.mixer, layer.inlet, layer.indexer):
        found |= part.states() if part else {}
    return found


class StatePool(PagePool):
    """Blocks of one model, and the one that every sequence starts from."""

    def __init__(self, block_bytes: int) -> None:
        super().__init__(block_bytes)
        self.zero = aligned(block_bytes)


class States:
    """One sequence's checkpoints, the last of which is its state now."""

    def __init__(self, pool: StatePool) -> None:
        self.pool = pool
        self.kept: list[tuple[int, Page]] = []
        self._next: Page | None = None
        most = KEEP_BYTES // max(1, pool.page_bytes)
        self._most = min(max(KEEP_LEAST, most), KEEP_MOST)

    def begin(self) -> tuple[int, int]:
        """Addresses for one step: the state to read, and a block to write."""
        if self._next is None:
            self._next = self.pool.take()
        source = self.kept[-1][1].memory if self.kept else self.pool.zero
        return source.ctypes.data, self._next.memory.ctypes.data

    def commit(self, position: int) -> None:
        """The step is done: what it wrote is the state at `position`."""
        if self._next is None:
            raise RuntimeError("commit without begin")
        self.kept.append((position, self._next))
        self._next = None
        if len(self.kept) > self._most:
            self.pool.give(self.kept.pop(self._least_needed())[1])

    def _least_needed(self) -> int:
        """The checkpoint without which the way back grows least, measured by how far back it is."""
        places = [0, *[position for position, _ in self.kept]]
        gaps = np.subtract(places[2:], places[:-2])
        back = np.subtract(places[-1], places[1:-1])
        return int(np.argmin(gaps / back))

    def truncate(self, length: int) -> int:
        """Go back to the nearest checkpoint at or before `length`; return its position."""
        while self.kept and self.kept[-1][0] > length:
            self.pool.give(self.kept.pop()[1])
        return self.kept[-1][0] if self.kept else 0

    def fork(self) -> States:
        """The same checkpoints, held once more."""
        twin = States(self.pool)
        twin.kept = [(position, self.pool.share(page)) for position, page in self.kept]
        return twin

    def release(self) -> None:
        """Let go of every block."""
        self.truncate(-1)
        if self._next is not None:
            self.pool.give(self._next)
            self._next = None
