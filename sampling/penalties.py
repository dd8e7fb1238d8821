"""Edits of single logits: logit bias, and penalties on tokens of the recent text.

repeat: l / r if l > 0 else l * r; then l - count * frequency - presence, with count the token's
occurrences in the window of the last n tokens (prompt and answer).
"""

from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable

import numpy as np

from .candidates import SHORT, Candidates, locate
from .portable import F64, I64

# Greater numbers of the caller act as this one: it decides as surely, and nothing overflows.
_GREATEST = 1e60


class Window:
    """The last n tokens and how often each occurs; n = -1 means all, 0 none."""

    def __init__(self, last_n: int) -> None:
        self._tokens: deque[int] = deque(maxlen=None if last_n < 0 else last_n)
        # Distinct ids, ascending, and their counts: packed, so that NumPy copies them at once.
        self._ids = array("q")
        self._counts = array("d")
        self._table: tuple[I64, F64] | None = None

    def accept(self, token: int) -> None:
        """Append one token; the oldest leaves a full window."""
        if self._tokens.maxlen == 0:
            return
        self._table = None
        if len(self._tokens) == self._tokens.maxlen:
            self._forget(self._tokens.popleft())
        self._tokens.append(token)
        at = bisect_left(self._ids, token)
        if at == len(self._ids) or self._ids[at] != token:
            self._ids.insert(at, token)
            self._counts.insert(at, 0.0)
        self._counts[at] += 1.0

    def extend(self, tokens: Iterable[int]) -> None:
        """Append many tokens."""
        self._table = None
        self._tokens.extend(tokens)
        counts = sorted(Counter(self._tokens).items())
        self._ids = array("q", [token for token, _ in counts])
        self._counts = array("d", [float(count) for _, count in counts])

    def table(self) -> tuple[I64, F64]:
        """Return the window's distinct ids, ascending, and the count of each."""
        if self._table is None:
            self._table = np.array(self._ids), np.array(self._counts)
        return self._table

    def copy(self) -> "Window":
        """Return an independent window of the same content."""
        other = Window(0)
        other._tokens = self._tokens.copy()
        other._ids, other._counts = self._ids[:], self._counts[:]
        other._table = self._table
        return other

    def _forget(self, token: int) -> None:
        at = bisect_left(self._ids, token)
        self._counts[at] -= 1.0
        if not self._counts[at]:
            del self._ids[at], self._counts[at]


def bounded(number: float) -> float:
    """Return the caller's number within +-1e60; -inf stays."""
    return number if number == -np.inf else min(max(number, -_GREATEST), _GREATEST)


def add(c: Candidates, ids: I64, amounts: F64) -> Candidates:
    """Add amounts[i] to the logit of ids[i] (distinct, ascending); absent ids are ignored."""
    at, of = locate(c.ids, ids)
    return _edited(c, at, c.logits[at] + amounts[of])


def penalise(
    c: Candidates, window: Window, repeat: float, frequency: float, presence: float
) -> Candidates:
    """Lower the logits of the window's tokens; repeat = 1, frequency = presence = 0 is off."""
    ids, counts = window.table()
    if c.ids is ids:
        return Candidates(ids, _lowered(c.logits, counts, repeat, frequency, presence))
    at, of = locate(c.ids, ids)
    return _edited(c, at, _lowered(c.logits[at], counts[of], repeat, frequency, presence))


def _lowered(logits: F64, counts: F64, repeat: float, frequency: float, presence: float) -> F64:
    if repeat != 1.0 and logits.size <= SHORT:
        logits = np.array([x / repeat if x > 0.0 else x * repeat for x in logits.tolist()])
    elif repeat != 1.0:
        logits = np.where(logits > 0.0, logits / repeat, logits * repeat)
    if frequency or presence:
        logits = logits - (counts * frequency + presence)
    return logits


def _edited(c: Candidates, at: I64, logits: F64) -> Candidates:
    result = c.logits.copy()
    result[at] = logits
    return Candidates(c.ids, result)
