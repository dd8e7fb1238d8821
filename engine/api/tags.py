"""TagSplitter: tell text between tags (reasoning, tool calls) from the rest, while it streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from ..stop_strings import StopStrings

Kind: TypeAlias = Literal["outside", "start", "inside", "end"]


class Part(NamedTuple):
    """A piece of text and where it stands; `start` and `end` parts are the tags themselves."""

    kind: Kind
    text: str


class TagSplitter:
    """Cut pushed text into parts; text that may begin a tag is held back until it is decided.

    `tags` maps each opening tag to its closing one; sections may come more than once and do not
    nest. `open_tag` says that the prompt has already opened a section.
    """

    def __init__(self, tags: Mapping[str, str], open_tag: str | None = None) -> None:
        self._tags = tags
        self._open = open_tag
        self._next = self._waiting_for()

    def push(self, text: str) -> Iterator[Part]:
        """Take more text and yield its parts, none empty."""
        while text:
            yield from self._plain(self._next.push(text))
            if self._next.found is None:
                return
            text = self._next.rest
            yield self._cross(self._next.found)

    def flush(self) -> Iterator[Part]:
        """Yield what is still held back: the text is over."""
        yield from self._plain(self._next.flush())

    def _cross(self, tag: str) -> Part:
        kind: Kind = "start" if self._open is None else "end"
        self._open = tag if self._open is None else None
        self._next = self._waiting_for()
        return Part(kind, tag)

    def _waiting_for(self) -> StopStrings:
        return StopStrings(self._tags if self._open is None else [self._tags[self._open]])

    def _plain(self, text: str) -> Iterator[Part]:
        if text:
            yield Part("outside" if self._open is None else "inside", text)
