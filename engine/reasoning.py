"""A grammar that waits for the model to have reasoned: sections between tags run free.

The answer begins inside a section if the prompt has opened one; else the model may open one first.
Inside, any token but an end may come; behind the closing tag the grammar begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class _State(NamedTuple):
    """Where the text stands: the tag it may be opening, or the one that closes it, and its end."""

    opening: bool
    closing: str | None
    text: str


class AfterReasoning:
    """A mask around a grammar's mask, for the sampler; `tags` maps opening to closing tags."""

    def __init__(
        self,
        mask: Any,
        tags: Mapping[str, str],
        open_tag: str | None,
        *,
        token_text: Callable[[int], str],
        openers: Iterable[int],
        ends: frozenset[int],
    ) -> None:
        self._mask: Any = mask
        self._tags = dict(tags)
        self._token_text = token_text
        self._openers = np.array(sorted(openers), np.int64)
        self._ends = np.array(sorted(ends), np.int64)
        closing = None if open_tag is None else self._tags[open_tag]
        self._state = _State(opening=open_tag is None and bool(tags), closing=closing, text="")

    def apply(self, logits: F32) -> None:
        """Set the logits of forbidden ids to -inf, in place."""
        if self._state.closing is not None:
            logits[self._ends] = -np.inf
            return
        openers = self._opening_ids()
        kept = logits[openers]
        if not self._state.text:
            self._mask.apply(logits)
        else:
            logits[:] = -np.inf
        logits[openers] = kept

    def allows(self, token: int) -> bool:
        """Whether the token may come next."""
        if self._state.closing is not None:
            return token not in self._ends
        if token in self._opening_ids():
            return True
        return not self._state.text and bool(self._mask.allows(token))

    def accept(self, token: int) -> None:
        """Move on by one token."""
        state = self._state
        if state.closing is not None:
            self._state = self._inside(state.text + self._token_text(token), state.closing)
        elif state.opening and (state.text or not self._mask.allows(token)):
            self._state = self._open(state.text + self._token_text(token))
        else:
            self._mask.accept(token)
            self._state = _State(opening=False, closing=None, text="")

    def forced(self) -> list[int]:
        """Ids that must come next; none before the grammar has begun."""
        state = self._state
        free = state.opening or state.closing is not None
        return [] if free else list(self._mask.forced())

    def snapshot(self) -> tuple[_State, Any]:
        """The present place."""
        return self._state, self._mask.snapshot()

    def restore(self, snapshot: tuple[_State, Any]) -> None:
        """Go back to a snapshot."""
        self._state = snapshot[0]
        self._mask.restore(snapshot[1])

    def _open(self, text: str) -> _State:
        if text in self._tags:
            return _State(opening=False, closing=self._tags[text], text="")
        return _State(opening=True, closing=None, text=text)

    def _inside(self, text: str, closing: str) -> _State:
        if closing in text:
            return _State(opening=False, closing=None, text="")
        return _State(opening=False, closing=closing, text=text[-len(closing) :])

    def _opening_ids(self) -> NDArray[np.int64]:
        """Ids that begin a tag, or go on with the one begun."""
        if not self._state.opening:
            return self._openers[:0]
        begun = self._state.text
        ends = [tag[len(begun) :] for tag in self._tags if tag.startswith(begun)]

        def fits(id_: int) -> bool:
            return any(end.startswith(self._token_text(id_)) for end in ends)

        return np.array([id_ for id_ in self._openers.tolist() if fits(id_)], np.int64)


def tag_pieces(tags: Iterable[str], n_vocab: int, token_text: Callable[[int], str]) -> list[int]:
    """Ids whose text is a part of a tag, in one piece; looked through once per vocabulary."""
    wanted = tuple(tags)
    found = []
    for id_ in range(n_vocab):
        text = token_text(id_)
        if text and any(text in tag for tag in wanted):
            found.append(id_)
    return found
