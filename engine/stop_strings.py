"""StopStrings: let text through until a stop string is complete; hold back what could begin one.

Of several, the one that completes first wins (of those completing together, the longest), so the
answer does not depend on how the text is cut into tokens. The stop string itself is never emitted.
"""

from __future__ import annotations

from collections.abc import Iterable


class StopStrings:
    """Feed text with `push`; `found` is the stop string that ended it, `rest` what follows it."""

    def __init__(self, strings: Iterable[str]) -> None:
        self._strings = tuple(dict.fromkeys(strings))
        self._held = ""
        self.found: str | None = None
        self.rest = ""

    def push(self, text: str) -> str:
        """Take more text and return what can be shown; nothing after a stop string."""
        if self.found is not None or not text:
            return ""
        if not self._strings:
            return text
        seen = self._held + text
        if match := self._first_complete(seen):
            end, length, self.found = match
            self._held, self.rest = "", seen[end:]
            return seen[: end - length]
        safe = len(seen) - self._could_begin(seen)
        self._held = seen[safe:]
        return seen[:safe]

    def flush(self) -> str:
        """Return what is still held back: the text is over."""
        held, self._held = self._held, ""
        return held

    def _first_complete(self, seen: str) -> tuple[int, int, str] | None:
        """(end, length, string) of the match that completes first."""
        found = [(seen.find(stop), stop) for stop in self._strings]
        matches = [(at + len(stop), len(stop), stop) for at, stop in found if at >= 0]
        return min(matches, key=lambda match: (match[0], -match[1]), default=None)

    def _could_begin(self, seen: str) -> int:
        """Length of the longest end of `seen` that a stop string begins with."""
        return max(_overlap(seen, stop) for stop in self._strings)


def _overlap(seen: str, stop: str) -> int:
    for length in range(min(len(seen), len(stop) - 1), 0, -1):
        if seen.endswith(stop[:length]):
            return length
    return 0
