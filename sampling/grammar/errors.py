"""The one error of this package, and the bounds that keep hostile grammars cheap.

A compilation has a budget of work, about a microsecond a unit, so that its end does not depend on
the machine; `budget` opens one, `spend` draws on the one of the thread.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MAX_ROWS = 400_000  # program rows
MAX_NFA = 120_000  # states before determinising, a pattern
MAX_DFA = 60_000  # states after, a pattern
MAX_WORK = 1_200_000  # units, a compilation


class GrammarError(ValueError):
    """A grammar that cannot be compiled: says where (line and column, or JSON pointer) and why.

    `line` and `column` count from 1 and are None for schemas; `pointer` is None for texts.
    """

    def __init__(
        self,
        reason: str,
        *,
        line: int | None = None,
        column: int | None = None,
        pointer: str | None = None,
    ) -> None:
        place = "" if line is None else f"line {line}, column {column}: "
        place = place if pointer is None else f"{pointer or '(root)'}: "
        super().__init__(place + reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.pointer = pointer


class _Meter(threading.local):
    left: int | None = None


_meter = _Meter()


@contextmanager
def budget(units: int = MAX_WORK) -> Iterator[None]:
    """Bound the work of one compilation; within another one's budget it draws on that."""
    if _meter.left is not None:
        yield
        return
    _meter.left = units
    try:
        yield
    finally:
        _meter.left = None


def spend(units: int) -> None:
    """Draw on the budget; GrammarError once it is used up."""
    if _meter.left is None:
        return
    _meter.left -= units
    if _meter.left < 0:
        raise GrammarError("compiling takes too much work: too many or too large combinations")
