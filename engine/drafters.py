"""Drafters: who guesses the next tokens of an answer, for the model to verify many in one step.

    PromptLookup   what followed the last time the text ended like this
    ModelDrafter   what a smaller model of the same vocabulary says
    MTPDrafter     what the model's own layers for more tokens than one say
    ForcedTokens   what a grammar leaves no choice about

A drafter may guess anything: a guess that the model would not have made is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..sampling.candidates import Distribution
from ..sampling.draw import Stream, draw, uniform
from ..sampling.sampler import Sampler
from .draft_policy import Offer
from .prefix import SessionLike

if TYPE_CHECKING:
    from .nextn_cache import NextnCache

F32 = NDArray[np.float32]
FURTHEST = 16  # tokens that two places are compared over
PLACES = 8  # earlier places that are compared
# The share of lookups with a match of n tokens that stands in prose; where text is copied more do,
# which is soon found out, as lookups are judged even when they are not verified.
PRIORS = {1: 0.05, 2: 0.15, 3: 0.3, 4: 0.5, 8: 0.75, 16: 0.9}
# A copy that an edit broke off goes on where one token agrees again, or right behind the edit.
COPY = 4  # tokens in common that make a copy
SHIFTS = (0, 1, -1, 2, -2, 3, -3, 4)  # by how many tokens an edit may change the length
RESUME_WITHIN = 16
RESUMED, BLIND = 0.5, 0.2


class Draft(NamedTuple):
    """Tokens guessed, and the distribution that each was drawn from; none if nothing was drawn."""

    ids: list[int]
    proposals: list[Distribution]


class Drafter(Protocol):
    """Follows a text and guesses how it goes on."""

    def restart(self, tokens: Sequence[int]) -> None:
        """The text is now this."""

    def accept(self, token: int) -> None:
        """The text has grown by one token."""

    def offer(self) -> Offer | None:
        """What `propose` could do now; None if nothing."""

    def propose(self, count: int) -> Draft:
        """Guess up to `count` tokens."""


class ForcedTokens:
    """Says what must come; `forced` gives the ids that the grammar's present place forces.

    Text can be forced that the model would split otherwise, so these are drafts like others.
    """

    PRIOR = 0.8

    def __init__(self, forced: Callable[[], list[int]]) -> None:
        self._forced = forced
        self._ids: list[int] = []

    def restart(self, tokens: Sequence[int]) -> None:
        """The text is now this; the grammar knows it."""

    def accept(self, token: int) -> None:
        """The text has grown by one token; the grammar knows it."""

    def offer(self) -> Offer | None:
        """As many tokens as are forced now."""
        self._ids = self._forced()
        if not self._ids:
            return None
        return Offer(kind="forced", prior=self.PRIOR, longest=len(self._ids), free=True)

    def propose(self, count: int) -> Draft:
        """The forced tokens, up to `count`."""
        return Draft(self._ids[:count], [])


class PromptLookup:
    """Guesses that the text goes on as it did where it ended alike, copying as it goes.

    Kept: for n-grams of 1, 2, 3 and `max_ngram` tokens the last place behind each, and for every
    place the one before it with the same n-gram of 2. Of the last few places the one with the
    longest past in common is taken, the later of equals. Where an edit broke a copy off and no long
    match is found, it goes on behind the edit. A token costs a few microseconds.
    """

    def __init__(self, max_ngram: int = 3, max_draft: int = 16) -> None:
        self._sizes = sorted({1, 2, 3, max_ngram} & set(range(1, max_ngram + 1)), reverse=True)
        self._chained = min(2, max_ngram)
        self._max_draft = max_draft
        self.restart(())

    def restart(self, tokens: Sequence[int]) -> None:
        """Follow a new text; it is indexed when the next draft is wanted."""
        self._text = list(tokens)
        self._last: dict[tuple[int, ...], int] = {}
        self._before: list[int] = []  # place -> an earlier place behind the same chained n-gram
        self._copying: tuple[int, int] | None = None  # where from, and up to where, at last

    def accept(self, token: int) -> None:
        """Follow by one token."""
        self._text.append(token)

    def offer(self) -> Offer | None:
        """A draft whose kind is the length of the match, or how a copy is resumed."""
        for place in range(len(self._before), len(self._text)):
            self._index(place)
        self._place, match = self._find()
        if match >= COPY:
            self._copying = self._place, len(self._text)
        elif (resumed := self._resumed()) is not None:
            self._place, prior = resumed
            return Offer(("resumed", prior), prior, self._max_draft, free=True)
        if not match:
            return None
        kind = max(length for length in PRIORS if length <= match)
        return Offer(("lookup", kind), PRIORS[kind], self._max_draft, free=True)

    def propose(self, count: int) -> Draft:
        """Copy from the place that `offer` found; where the copy reaches the end it repeats."""
        place, end = self._place, len(self._text)
        period = self._text[place : place + count]
        ids = [period[i % (end - place)] for i in range(count)]
        return Draft(ids, [])

    def _index(self, place: int) -> None:
        """Note a place, whose token is known, behind the n-grams before it."""
        before = -1
        for size in self._sizes:
            if size > place:
                continue
            gram = tuple(self._text[place - size : place])
            if size == self._chained:
                before = self._last.get(gram, -1)
            self._last[gram] = place
        self._before.append(before)

    def _find(self) -> tuple[int, int]:
        """The best place to copy from and how many tokens before it are those before the end."""
        text = self._text
        for size in self._sizes:
            place = self._last.get(tuple(text[len(text) - size :]), -1) if size <= len(text) else -1
            if place < 0:
                continue
            if size < self._chained:
                return place, self._common(place)
            return max(
                ((at, self._common(at)) for at in self._places(place)), key=lambda found: found[1]
            )
        return -1, 0

    def _resumed(self) -> tuple[int, float] | None:
        """Where the last copy goes on behind an edit, and how likely."""
        end = len(self._text)
        if self._copying is None or end - self._copying[1] > RESUME_WITHIN:
            return None
        place = self._copying[0] + end - self._copying[1]
        for shift in SHIFTS:
            at = place + shift
            if 0 < at < end and self._text[at - 1] == self._text[-1]:
                return at, RESUMED
        return (place, BLIND) if place < end else None

    def _places(self, place: int) -> list[int]:
        places: list[int] = []
        while place >= 0 and len(places) < PLACES:
            places.append(place)
            place = self._before[place]
        return places

    def _common(self, place: int) -> int:
        text, end = self._text, len(self._text)
        furthest = min(FURTHEST, place)
        for back in range(1, furthest + 1):
            if text[place - back] != text[end - back]:
                return back - 1
        return furthest


class _Sampled:
    """Draws drafts from logits with a sampler."""

    def __init__(
        self, sampler: Sampler, ends: frozenset[int], least_probability: float, apart: bool
    ) -> None:
        self._sampler = sampler
        self._ends, self._least, self._apart = ends, least_probability, apart

    def _drawn(self, count: int, logits: F32, feed: Callable[[int], F32]) -> Draft:
        """Draw up to `count` tokens one by one from `logits` and then what `feed` gives for them.

        The sampler is left as it was.
        """
        before = self._sampler.snapshot()
        ids: list[int] = []
        proposals: list[Distribution] = []
        while True:
            token = self._pick(logits, proposals)
            if self._least and _probability(logits, token) < self._least:
                break
            ids.append(token)
            if len(ids) == count or token in self._ends:
                break
            self._sampler.accept(token)
            logits = feed(token)
        self._sampler.restore(before)
        return Draft(ids, proposals)

    def _pick(self, logits: F32, proposals: list[Distribution]) -> int:
        if not self._apart:
            return self._sampler.pick(logits)
        proposals.append(self._sampler.distribution(logits))
        number = uniform(self._sampler.seed, self._sampler.position, Stream.DRAFT)
        return draw(proposals[-1], number)


class MTPDrafter(_Sampled):
    """The layers behind the model's last, which read the rows that its session's `cache` keeps.

    It draws with the sampler of the answer, as ModelDrafter does.
    """

    KIND, PRIOR = "own layers", 0.7

    def __init__(
        self,
        cache: NextnCache,
        sampler: Sampler,
        *,
        ends: frozenset[int] = frozenset(),
        least_probability: float = 0.0,
        apart: bool = False,
    ) -> None:
        super().__init__(sampler, ends, least_probability, apart)
        self._cache = cache
        self._next: int | None = None

    def restart(self, tokens: Sequence[int]) -> None:
        """The text is now this; the session reads it."""
        self._next = None

    def accept(self, token: int) -> None:
        """The text has grown by one token, which the session reads when the next is fed."""
        self._next = token

    def offer(self) -> Offer | None:
        """A draft as long as the context has room, and as there are layers if these are several."""
        most = self._cache.most
        if self._next is None or most < 1:
            return None
        return Offer(self.KIND, self.PRIOR, most, free=False)

    def propose(self, count: int) -> Draft:
        """Draw tokens one by one; cache and sampler are left as they were."""
        if self._next is None:
            return Draft([], [])
        with self._cache.ahead() as ahead:
            return self._drawn(count, ahead.feed(self._next), ahead.feed)


class ModelDrafter(_Sampled):
    """A smaller model, which draws with the sampler of the answer itself.

    So penalties, grammar and, unless `apart`, the random numbers are those the target will draw
    with: the more alike the logits, the more drafts stand. `apart` draws them with numbers of
    their own, as rejection needs. It stops behind an id of `ends`, and where its model gives the
    next token less than `least_probability`.
    """

    KIND, PRIOR = "draft model", 0.6

    def __init__(
        self,
        session: SessionLike,
        sampler: Sampler,
        *,
        ends: frozenset[int] = frozenset(),
        least_probability: float = 0.0,
        apart: bool = False,
    ) -> None:
        super().__init__(sampler, ends, least_probability, apart)
        self._session = session
        self._held = list(session.tokens)
        self._text: list[int] = []
        self._agreed = 0

    def restart(self, tokens: Sequence[int]) -> None:
        """Follow a new text; its beginning may be held already."""
        self._text, self._agreed = list(tokens), 0

    def accept(self, token: int) -> None:
        """Follow by one token; it is read when the next draft is wanted."""
        self._text.append(token)

    def offer(self) -> Offer | None:
        """A draft up to the end of the draft model's own context."""
        room = self._session.context_length - len(self._text) + 1
        return Offer(self.KIND, self.PRIOR, room, free=False) if room > 0 else None

    def propose(self, count: int) -> Draft:
        """Draw tokens one by one; the sampler is left as it was."""
        return self._drawn(count, self._catch_up(), lambda token: self._feed([token]))

    def _catch_up(self) -> F32:
        """Read what is new in the text; the last token is read anew if it has to be."""
        text, held = self._text, self._held
        most = min(len(held), len(text) - 1)
        at = min(self._agreed, most)
        while at < most and held[at] == text[at]:
            at += 1
        if at < len(held):
            self._session.rewind(at)
            del held[at:]
        self._agreed = len(text)
        return self._feed(text[at:])

    def _feed(self, ids: list[int]) -> F32:
        self._held += ids
        logits: F32 = self._session.feed(ids, logits="last")
        return logits


def _probability(logits: F32, token: int) -> float:
    """The model's own probability of a token."""
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return float(weights[token] / weights.sum())
