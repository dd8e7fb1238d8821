"""PrefixCache: a new prompt starts from the kept session that shares its longest beginning.

A conversation sends its whole history every turn; only the new part needs computing. The kept
session is forked and rewound, never handed out itself, so any number of callers may start from
it. Answers do not change: the same tokens at the same positions give the same bits however they
came there. At most `keep` sessions are held, the least recently used is closed first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

KEEP = 4


class SessionLike(Protocol):
    """What the token loop and this cache need of a session."""

    threads: int | None

    @property
    def context_length(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def tokens(self) -> Sequence[int]: ...
    def feed(self, ids: Sequence[int], logits: Literal["last", "all", "none"] = "last") -> Any: ...
    def rewind(self, position: int) -> None: ...
    def fork(self) -> Self: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=SessionLike)


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading tokens `a` and `b` have in common."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))


class PrefixCache(Generic[S]):
    """Sessions of finished calls, for the next call to start from."""

    def __init__(self, new_session: Callable[[], S], keep: int = KEEP) -> None:
        self._new_session = new_session
        self._keep = keep
        self._kept: list[S] = []  # most recently used last
        self._lock = Lock()
        self._closed = False

    def acquire(self, ids: Sequence[int], threads: int | None = None) -> S:
        """Return a session that holds a beginning of `ids`, at least one token short of all.

        Its steps, those of rewinding among them, are for `threads`.
        """
        with self._lock:
            fork = self._fork_nearest(ids)
        session = fork or self._new_session()
        session.threads = threads
        if fork:
            session.rewind(min(shared_length(session.tokens, ids), len(ids) - 1))
        return session

    def release(self, session: S) -> None:
        """Keep a session whose call is over; what it extends or repeats is closed."""
        with self._lock:
            covered = [kept for kept in self._kept if _covers(session.tokens, kept.tokens)]
            stay = [kept for kept in self._kept if kept not in covered]
            stay.append(session)
            room = 0 if self._closed else self._keep
            cut = max(0, len(stay) - room)
            self._kept = stay[cut:]
            dropped = covered + stay[:cut]
        for old in dropped:
            old.close()

    def close(self) -> None:
        """Close every kept session; sessions released later are closed at once."""
        with self._lock:
            self._closed = True
            dropped, self._kept = self._kept, []
        for old in dropped:
            old.close()

    def _fork_nearest(self, ids: Sequence[int]) -> S | None:
        shared = [shared_length(kept.tokens, ids) for kept in self._kept]
        if not any(shared):
            return None
        nearest = self._kept.pop(shared.index(max(shared)))
        self._kept.append(nearest)
        return nearest.fork()


def _covers(tokens: Sequence[int], beginning: Sequence[int]) -> bool:
    return len(beginning) <= len(tokens) and all(
        a == b for a, b in zip(islice(tokens, len(beginning)), beginning, strict=True)
    )
