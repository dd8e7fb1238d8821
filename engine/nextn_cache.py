"""What a session keeps for its model's layers ahead: their keys, and rows not yet read.

    tokens of the session     x0 x1 x2 x3 x4
    held in the cache         .  .  .             at position p, token p and the row of p - 1
    waiting                            x3 x4      with rows 2, 3 and 4

Rows wait until there is something to draft, or until they fill a step: then the draft's first step
reads them too. What a rewind leaves in the cache has the bits it would have in a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cache import Sequence
from .nextn import NextnLayers

Array = NDArray[Any]
F32 = NDArray[np.float32]
# So many rows at most go along with a draft's first step, more in steps of powers of two before it:
# steps are recorded for each number of rows.
FEW = 8


class NextnCache:
    """One session's; `known` says how many of its tokens have come here."""

    def __init__(self, layers: NextnLayers, sequence: Sequence) -> None:
        self.layers, self.sequence = layers, sequence
        self.threads: int | None = None  # as the session's
        self._waiting: list[int] = []
        # The row before each waiting token and that of the last, in parts as they came; none if a
        # rewind lost it.
        self._parts: list[Array] = [layers.before_first()]

    @property
    def known(self) -> int:
        """How many tokens are held or wait."""
        return self.sequence.length + len(self._waiting)

    @property
    def most(self) -> int:
        """How many tokens can be drafted behind the next: by several layers one each."""
        room = self.sequence.capacity - self.known
        count = self.layers.count
        return min(room, count, self.layers.max_rows) if count > 1 else room

    def make_room(self, count: int) -> None:
        """Read what waits if that and so many tokens more are too much for one step."""
        if len(self._waiting) + count > self.layers.max_rows:
            self._read_waiting(0)

    def add(self, position: int, ids: list[int], rows: Array) -> None:
        """The session has read tokens from a position on, and these are their rows.

        Those that are known already give at most the row that a rewind lost.
        """
        old = self.known - position
        if old > len(ids):
            return
        if not self._parts:
            self._parts = [rows[old - 1 : old].copy() if old else self.layers.before_first()]
        if old < len(ids):
            self._waiting += ids[old:]
            self._parts.append(rows[old:])

    def truncate(self, position: int) -> int:
        """Forget tokens from a position on; the position that has to be read again from.

        It is one before where the row that goes with the next token is lost.
        """
        held = self.sequence.length
        if position >= held:
            del self._waiting[position - held :]
            self._parts = [self._rows()[: position - held + 1]] if self._parts else []
            return position
        self.sequence.truncate(position)
        self._waiting, self._parts = [], [] if position else [self.layers.before_first()]
        return max(0, position - 1)

    def fork(self) -> NextnCache:
        """Another with the same content."""
        twin = NextnCache(self.layers, self.sequence.fork())
        twin._waiting, twin._parts = list(self._waiting), list(self._parts)
        return twin

    def release(self) -> None:
        """Let go of the pages."""
        self.sequence.release()

    @contextmanager
    def ahead(self) -> Iterator[Ahead]:
        """Read tokens that the session has not; they are forgotten at the end."""
        several = self.layers.count > 1
        self._read_waiting(0 if several else min(FEW, self.layers.max_rows) - 1)
        known = self.known
        try:
            yield Ahead(self)
        finally:
            self.sequence.truncate(min(known, self.sequence.length))

    def read(self, token: int, row: Array | None) -> tuple[Array, Array]:
        """By the one layer: the logits behind a token, with what waits before it, and its row.

        The row before it is the last known, or `row` for a token behind one that is not known.
        """
        if row is not None:
            found = self.run(0, [token], row, True)
            self.sequence.commit(1)
            return _given(found)
        ids = [*self._waiting, token]
        found = self.run(0, ids, self._rows(), True)
        self.sequence.commit(len(ids))
        self._waiting, self._parts = [], [self.last_row()]
        return _given(found)

    def run(
        self, layer: int, ids: list[int], rows: Array, wanted: bool
    ) -> tuple[Array, Array] | None:
        """Let a layer read tokens and the rows before them, behind what is held."""
        return self.layers.run(layer, self.sequence, ids, rows, wanted, self.threads)

    def last_row(self) -> Array:
        """The row of the last known token, [1, embedding]."""
        return self._parts[-1][-1:].copy()

    def _rows(self) -> Array:
        """The rows that wait, as one array."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def _read_waiting(self, spare: int) -> None:
        """Let all layers read what waits, but for up to `spare` tokens."""
        while len(self._waiting) > spare:
            count = 1 << len(self._waiting).bit_length() - 1
            rows, ids = self._rows(), self._waiting[:count]
            for layer in range(self.layers.count):
                self.run(layer, ids, rows[:count], False)
            self.sequence.commit(count)
            self._waiting, self._parts = self._waiting[count:], [rows[count:].copy()]


class Ahead:
    """Tokens behind those known, one after the other."""

    def __init__(self, cache: NextnCache) -> None:
        self._cache = cache
        self._ids: list[int] = []
        self._rows: list[Array] = []

    def feed(self, token: int) -> F32:
        """The logits behind a token, float32 [vocabulary]."""
        self._ids.append(token)
        step = self._several if self._cache.layers.count > 1 else self._one
        logits, row = step(token)
        self._rows.append(row[None])
        return logits.astype(np.float32, copy=False)

    def _one(self, token: int) -> tuple[Array, Array]:
        return self._cache.read(token, self._rows[-1] if self._rows else None)

    def _several(self, token: int) -> tuple[Array, Array]:
        """Each layer reads all of them: its own keys are needed, and nothing of that counts."""
        cache, layer = self._cache, len(self._ids) - 1
        rows = np.concatenate([cache.last_row(), *self._rows])
        return _given(cache.run(layer, self._ids, rows, True))


def _given(found: tuple[Array, Array] | None) -> tuple[Array, Array]:
    if found is None:
        raise RuntimeError("logits: found none, expected those behind the last token")
    return found
