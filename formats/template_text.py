"""Strings that remember which of their characters are the chat template's own.

A template's literals are OwnText; what messages say is plain str. The operations by which templates
build prompts (+, ~, join, strip, split, replace, slices, output) keep each character's mark. Any
other operation gives a plain string: what is not known to be the template's own is not trusted.
"""

from collections.abc import Iterable
from typing import Final, Self, SupportsIndex

from markupsafe import Markup

from .special_tokens import Span

# Split into more, a text loses its marks: no prompt is made so, and each cut takes time.
MARKED_PARTS: Final = 1000


class OwnText(str):
    """A string with `spans`: where it is the template's own, ascending and not touching.

    Made from text alone it has none: code that copies a string's type must not pass on trust.
    """

    __slots__ = ("spans",)
    spans: tuple[Span, ...]

    def __new__(cls, text: str, spans: tuple[Span, ...] = ()) -> Self:
        self = super().__new__(cls, text)
        self.spans = spans
        return self

    def __str__(self) -> str:
        return self

    def __add__(self, other: str) -> str:
        # Markup (what the filter `safe` gives) escapes whatever it is added to.
        if not isinstance(other, str) or hasattr(other, "__html__"):
            return NotImplemented
        return concat((self, other))

    def __radd__(self, other: str) -> str:
        return concat((other, self)) if isinstance(other, str) else NotImplemented

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        if isinstance(index, slice) and index.step in (None, 1):
            start, stop, _ = index.indices(len(self))
            return self._cut(start, max(start, stop))
        return str.__getitem__(self, index)

    def strip(self, chars: str | None = None) -> str:
        kept = str.lstrip(self, chars)
        start = len(self) - len(kept)
        return self._cut(start, start + len(kept.rstrip(chars)))

    def lstrip(self, chars: str | None = None) -> str:
        return self._cut(len(self) - len(str.lstrip(self, chars)), len(self))

    def rstrip(self, chars: str | None = None) -> str:
        return self._cut(0, len(str.rstrip(self, chars)))

    def join(self, parts: Iterable[str]) -> str:
        parts = list(parts)
        if not all(isinstance(part, str) for part in parts):
            return str.join(self, parts)
        return concat([text for part in parts for text in (self, part)][1:])

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._cuts(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._cuts(str.rsplit(self, sep, maxsplit), sep)

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> str:
        if not old or self.count(old) > MARKED_PARTS:
            return str.replace(self, old, new, count)
        return OwnText(new, spans_of(new)).join(self.split(old, count))

    def _cuts(self, parts: list[str], sep: str | None) -> list[str]:
        """The parts of a split, each cut from where it stands in this text."""
        if len(parts) > MARKED_PARTS:
            return parts
        cuts = []
        end = 0
        for part in parts:
            start = self.index(part, end) if sep is None else end
            cuts.append(self._cut(start, start + len(part)))
            end = start + len(part) + len(sep or "")
        return cuts

    def _cut(self, start: int, stop: int) -> str:
        text = str.__getitem__(self, slice(start, stop))
        cut = [(max(a, start) - start, min(b, stop) - start) for a, b in self.spans]
        return OwnText(text, tuple(span for span in cut if span[0] < span[1]))


class OwnMarkup(Markup):
    """What `safe` text and a template's own text make together; `spans` as in OwnText."""

    __slots__ = ("spans",)
    spans: tuple[Span, ...]

    def __new__(cls, text: str, spans: tuple[Span, ...] = ()) -> Self:
        self = super().__new__(cls, text)
        self.spans = spans
        return self

    def __str__(self) -> str:
        return self


def own(text: str) -> OwnText:
    """A text that is the template's own throughout."""
    return OwnText(text, ((0, len(text)),) if text else ())


def spans_of(text: str) -> tuple[Span, ...]:
    """The spans of a string that are the template's own."""
    return text.spans if isinstance(text, OwnText | OwnMarkup) else ()


def is_own(value: object) -> bool:
    """Whether a value is text and the template's own throughout."""
    return isinstance(value, str) and (not value or spans_of(value) == ((0, len(value)),))


def add(left: str, right: str) -> str:
    """`left + right`; Markup escapes what it is added to, and the marks stay if nothing changed."""
    made, joined = left + right, concat((left, right))
    if isinstance(made, Markup) and str(made) == str(joined):
        return OwnMarkup(made, joined.spans)
    return made


def concat(texts: Iterable[str]) -> OwnText:
    """The texts in one, each character with its mark."""
    texts = list(texts)
    spans: list[Span] = []
    start = 0
    for text in texts:
        for first, last in spans_of(text):
            if spans and spans[-1][1] == start + first:
                spans[-1] = (spans[-1][0], start + last)
            else:
                spans.append((start + first, start + last))
        start += len(text)
    return OwnText("".join(texts), tuple(spans))
