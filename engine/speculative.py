"""Speculation: guess tokens, verify them all in one step, and keep what the target would have said.

    text .. t | d1 d2 d3        one step over t d1 d2 d3 gives four rows of logits
                                row 0 draws d1: it stands, row 1 is the next row, without a step
                                row 1 draws another token: d2 is refused, d3 with it, the session
                                is rewound to t d1

Logits have the same bits however many rows a step has, and a row is drawn from only once the text
has come to it: penalties, grammar, random numbers, stop strings and the context are those of plain
generation, so the ids are too, whatever was guessed (`match`). With `rejection` the rule of
sampling.accept.verify_one draws instead: the same distribution, more drafts stand, and the draft
length is fixed, so the ids still follow from the seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, cast

import numpy as np

from ..sampling.accept import verify_one
from ..sampling.candidates import Distribution
from ..sampling.sampler import Sampler
from .draft_policy import REWIND, DraftPolicy, Offer, Timings
from .drafters import Draft, Drafter
from .prefix import SessionLike

LONGEST = 256  # logits of a whole vocabulary for each draft are held
REJECTION_LENGTH = 3
WATCHED_LENGTH = 7
# After so many tokens without a draft that paid, drafters are asked at every fourth only: asking
# takes 2 to 3 % of a small model's token.
IDLE, ASKED_EVERY = 16, 4


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How drafts are used. `exact`: always this many tokens (up to 256), else as many as pay.

    Drafts shorter than `least` are not verified. `rejection` needs a draft length that time does
    not decide: `exact`, or 3.
    """

    exact: int | None = None
    least: int = 0
    rejection: bool = False

    @property
    def fixed(self) -> int | None:
        """The draft length, where it is fixed."""
        if self.exact is not None:
            return min(self.exact, LONGEST)
        return REJECTION_LENGTH if self.rejection else None


@dataclass
class DraftCounts:
    """Tokens drafted: those that stood, those refused, those never verified."""

    accepted: int = 0
    rejected: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.ignored


class _Ahead(NamedTuple):
    """A draft in the session: its tokens from position `start` on, and their rows of logits."""

    draft: Draft
    offer: Offer
    start: int
    rows: Any


class Speculation:
    """Gives the token loop its rows of logits, from a step or from a draft that stood.

    Without drafters it is plain generation. One answer's; `timings` are the model's.
    """

    def __init__(
        self,
        drafters: Sequence[Drafter] = (),
        *,
        n_vocab: int = 0,
        rules: Rules | None = None,
        timings: Timings | None = None,
    ) -> None:
        self.counts = DraftCounts()
        self.drafted = False  # whether the last token drawn is a draft that stood
        self._drafters, self._n_vocab = drafters, n_vocab
        self._rules = rules or Rules()
        self._policy = DraftPolicy(timings or Timings())
        self._ahead: _Ahead | None = None
        self._stood = 0  # of the draft ahead
        self._at = 0  # how many of them the text has come past
        self._watched: tuple[Any, list[int]] | None = None
        self._watched_at = 0
        self._idle = 0  # tokens since a draft was taken or one that was watched stood
        self._begun: set[Any] = set()  # kinds of which a draft was made since the last restart

    def restart(self, tokens: Sequence[int]) -> None:
        """The text is now this: a prompt, or what dropping left."""
        self._watched, self._begun = None, set()
        for drafter in self._drafters:
            drafter.restart(tokens)

    def draw(self, sampler: Any, logits: Any) -> int:
        """Draw the next token; the sampler has not accepted it yet."""
        draft = self._expected()
        if draft is None or not self._rules.rejection:
            token = int(sampler.pick(logits))
            self.drafted = token == draft
        else:
            token = self._verified(sampler, logits, draft)
        self._stood += self.drafted
        return token

    def advance(self, session: SessionLike, token: int) -> Any:
        """Go past a token: the next row if there is one, else None and the session is rewound."""
        for drafter in self._drafters:
            drafter.accept(token)
        self._watch(token)
        self._policy.acceptance.step()
        if self._ahead is not None and self.drafted:
            self._at += 1
            return self._ahead.rows[self._at]
        self.settle(session)
        return None

    def feed(self, session: SessionLike, token: int, most: int) -> Any:
        """Feed a token with up to `most` drafts behind it; the row after the token."""
        draft, offer = self._drafted(most)
        start = session.position + 1
        began = perf_counter()
        if offer is None or not draft.ids:
            logits = session.feed([token], logits="last")
            self._policy.timings.note(1, perf_counter() - began)
            return logits
        rows = session.feed([token, *draft.ids], logits="all")
        self._policy.timings.note(len(draft.ids) + 1, perf_counter() - began)
        self._ahead, self._stood, self._at = _Ahead(draft, offer, start, rows), 0, 0
        return rows[0]

    def settle(self, session: SessionLike) -> None:
        """Take from the session what the text has not come past."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        refused = len(ahead.draft.ids) - self._stood
        self.counts.accepted += self._stood
        self.counts.rejected += refused
        offer = ahead.offer
        self._policy.acceptance.note(offer.kind, self._stood, refused > 0, not offer.free)
        if session.position > ahead.start + self._at:
            began = perf_counter()
            session.rewind(ahead.start + self._at)
            self._policy.timings.note(REWIND, perf_counter() - began)

    def _expected(self) -> int | None:
        """The draft whose row is drawn from now."""
        if self._ahead is None or self._at == len(self._ahead.draft.ids):
            return None
        return self._ahead.draft.ids[self._at]

    def _verified(self, sampler: Sampler, logits: Any, draft: int) -> int:
        proposals = cast(_Ahead, self._ahead).draft.proposals
        token, self.drafted = verify_one(
            draft,
            sampler.distribution(logits),
            proposals[self._at] if proposals else _certain(draft),
            sampler.seed,
            sampler.position,
        )
        sampler.logprobs = sampler.logprobs_of(logits, token) if sampler.params.logprobs else None
        return token

    def _drafted(self, most: int) -> tuple[Draft, Offer | None]:
        """The draft to verify and the offer it is of; empty where none pays."""
        nothing = Draft([], [])
        if most <= 0 or self._rests():
            return nothing, None
        offers = [(offer, drafter) for drafter in self._drafters if (offer := drafter.offer())]
        if not offers:
            return nothing, None
        by_offer = {id(offer): drafter for offer, drafter in offers}
        offer, length = self._choose([offer for offer, _ in offers], most)
        if offer is None:
            self._start_watch(offers)
            return nothing, None
        self._watched, self._idle = None, 0
        began = perf_counter()
        draft = by_offer[id(offer)].propose(length)
        if not offer.free and draft.ids and offer.kind in self._begun:
            self._policy.timings.note(offer.kind, (perf_counter() - began) / len(draft.ids))
        self._begun.add(offer.kind)  # the first one also reads the prompt, which says nothing
        return self._fit(draft, length), offer

    def _rests(self) -> bool:
        self._idle += 1
        asked = self._rules.fixed is not None or self._idle <= IDLE
        return not asked and self._idle % ASKED_EVERY != 0

    def _choose(self, offers: list[Offer], most: int) -> tuple[Offer | None, int]:
        fixed = self._rules.fixed
        if fixed is None:
            return self._policy.choose(offers, most)
        # With a fixed length nothing is weighed: the first that can draft, the model if there is.
        return offers[0], min(fixed, most, offers[0].longest)

    def _fit(self, draft: Draft, most: int) -> Draft:
        """Cut what is too long and before an id outside the vocabulary; drop what is too short."""
        ids = draft.ids[:most]
        outside = (at for at, id_ in enumerate(ids) if not 0 <= id_ < self._n_vocab)
        size = next(outside, len(ids))
        if size < self._rules.least:
            size = 0
        self.counts.ignored += len(draft.ids) - size
        return Draft(draft.ids[:size], draft.proposals[:size])

    # A draft that costs nothing can be judged without verifying it: by what is drawn.

    def _start_watch(self, offers: Iterable[tuple[Offer, Drafter]]) -> None:
        if self._watched is not None:
            return
        for offer, drafter in offers:
            if offer.free and (ids := drafter.propose(WATCHED_LENGTH).ids):
                self._watched, self._watched_at = (offer.kind, ids), 0
                return

    def _watch(self, token: int) -> None:
        if self._watched is None:
            return
        kind, ids = self._watched
        stands = ids[self._watched_at] == token
        self._watched_at += stands
        if not stands or self._watched_at == len(ids):
            self._policy.acceptance.note(kind, self._watched_at, not stands)
            self._idle = 0 if self._watched_at else self._idle
            self._watched = None


def _certain(token: int) -> Distribution:
    return Distribution(np.array([token]), np.ones(1))
