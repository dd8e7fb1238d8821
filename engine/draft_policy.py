"""How many tokens to draft: the n that makes (1 - a^(n+1)) / (1 - a) / seconds(n) largest.

The numerator is how many tokens a step with n drafts is expected to give when each stands with
probability a. seconds(n) = step of n + 1 rows + n drafts + rewind * (1 - a^n), all measured in the
run. n = 0 is a plain step, so drafting stops by itself where it does not pay; what was measured is
forgotten after a while, so that it is tried again. None of this decides what the answer says.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

# A draft must promise this much over a plain step. Of several lookups, which cost nothing, the best
# guess is taken, which is more often too high than too low: with 1.05, texts where they fail took
# 4 to 6 % longer than without on Intel, with 1.2 they take 1 to 3 %.
GAIN, FREE_GAIN = 1.05, 1.2
# A draft of a length that was never verified must stand this often: its step is recorded first,
# which takes as long as ten plain ones and more than a short answer can win.
FIRST = 0.6
KEEP = 8
SURE = 3  # measurements that are believed even if they are high
FORGET_AFTER = 256  # measurements of any kind
REWIND = "rewind"


@functools.cache
def lengths() -> tuple[int, ...]:
    """How many tokens a draft may have.

    A step has as many rows as a kernel multiplies, or whole groups of 4 or 8 (five cost what eight
    cost), and a model keeps a recorded tape for each row count.
    """
    from ..kernels.few_rows import COUNTS  # which fails for an instruction set that is not there

    return tuple(rows - 1 for rows in sorted({*COUNTS, 8, 16, 32, 64}) if rows > 1)


@dataclass(frozen=True)
class Offer:
    """What a drafter could do now.

    Drafts of one `kind` are expected to stand equally often, `prior` at first. `longest` bounds the
    draft. `free`: it costs nothing worth measuring.
    """

    kind: Hashable
    prior: float
    longest: int
    free: bool


class Timings:
    """Seconds of things that happen again and again; one for a model, kept between answers.

    The best of the last few counts: on a busy machine the others tell of its other users. The first
    of each kind is left out, for it compiles, records or reads a whole prompt.
    """

    def __init__(self) -> None:
        # Tuples, replaced whole: answers of several threads note here.
        self._last: dict[Hashable, tuple[float, ...]] = {}
        self._best: dict[Hashable, tuple[float, int]] = {}
        self._count = 0

    def note(self, what: Hashable, seconds: float) -> None:
        """Take in one measurement."""
        self._count += 1
        last = self._last.get(what)
        if last is None:
            self._last[what] = ()
            return
        if self.best(what) is None:
            last = ()
        self._last[what] = last = (*last, seconds)[-KEEP:]
        self._best[what] = min(last), self._count

    def best(self, what: Hashable) -> float | None:
        """The least of the last measurements; None if there is none or they are too old."""
        seconds, at = self._best.get(what, (None, 0))
        return seconds if self._count - at <= FORGET_AFTER else None

    def tried(self, what: Hashable) -> bool:
        """Whether it was ever measured."""
        return what in self._last

    def draft(self, kind: Hashable, plain: float) -> float:
        """Seconds of a token that such a drafter guesses, where a step without drafts takes
        `plain`.

        One hardly measured yet is taken to cost 10 % of `plain`, or less if it was found to: the
        first steps of each number of rows are recorded.
        """
        measured, expected = self.best(kind), 0.1 * plain
        if measured is None:
            return expected
        return measured if len(self._last[kind]) >= SURE else min(measured, expected)

    def steps(self, plain: float) -> list[float]:
        """Seconds of a step with each of `lengths()` drafts, where one without takes `plain`.

        One hardly measured yet is taken to cost 10 % of `plain` for each draft beyond the longest
        that was, or less if it was found to: little, so that it is tried. None takes more than a
        longer one, or less than `plain`: what seems to was measured when the machine was faster.
        """
        found: list[float] = []
        sure, at = plain, 0
        for length in lengths():
            measured, expected = self.best(length + 1), sure + 0.1 * plain * (length - at)
            if measured is not None and len(self._last[length + 1]) >= SURE:
                sure, at = measured, length
                found.append(measured)
            else:
                found.append(expected if measured is None else min(measured, expected))
        for shorter in reversed(range(len(found) - 1)):
            found[shorter] = min(found[shorter], found[shorter + 1])
        return [max(plain, seconds) for seconds in found]


class _Seen(NamedTuple):
    """Experience with a kind of draft: tokens that stood, of how many, up to which step.

    `failures`: how many of its latest drafts, if they cost time, had no token that stood.
    """

    stand: float = 0.0
    tried: float = 0.0
    at: int = 0
    failures: int = 0


class Acceptance:
    """How often drafts of each kind stand, the latest counting most."""

    WEIGHT = 3.0  # of the prior, in tokens
    PER_DRAFT, PER_STEP = 0.95, 0.995  # what remains of older experience

    def __init__(self) -> None:
        self._seen: dict[Hashable, _Seen] = {}
        self._steps = 0

    def step(self) -> None:
        """One more step: experience fades, so what failed is tried again.

        After each more of costly failures in a row that takes longer: a try costs more than the
        guess, as its drafter reads what it has missed. bench_speculation --own has the gain.
        """
        self._steps += 1

    def note(self, kind: Hashable, stood: int, refused: bool, costly: bool = False) -> None:
        """A draft of which `stood` tokens stood before the first refused one, if any."""
        stand, tried, _, failures = self._faded(kind)
        self._seen[kind] = _Seen(
            self.PER_DRAFT * stand + stood,
            self.PER_DRAFT * tried + stood + refused,
            self._steps,
            failures + refused if costly and not stood else 0,
        )

    def rate(self, offer: Offer) -> float:
        """The probability that a token of such a draft stands, if those before it do."""
        seen = self._faded(offer.kind)
        return (seen.stand + self.WEIGHT * offer.prior) / (seen.tried + self.WEIGHT)

    def _faded(self, kind: Hashable) -> _Seen:
        seen = self._seen.get(kind, _Seen())
        fade = self.PER_STEP ** ((self._steps - seen.at) / (1 + seen.failures))
        return seen._replace(stand=seen.stand * fade, tried=seen.tried * fade)


class DraftPolicy:
    """Chooses drafter and draft length for one answer; `timings` belong to its model."""

    def __init__(self, timings: Timings) -> None:
        self.timings = timings
        self.acceptance = Acceptance()

    def choose(self, offers: Iterable[Offer], most: int) -> tuple[Offer | None, int]:
        """The offer to take and how many tokens to draft (at most `most`), or (None, 0)."""
        rates = [(offer, min(self.acceptance.rate(offer), 0.999)) for offer in offers]
        # However long the draft, and if a step with it takes no longer.
        rates = [(offer, stands) for offer, stands in rates if 1 / (1 - stands) > _gain(offer)]
        plain = self.timings.best(1)
        if plain is None or not rates:
            return None, 0
        steps = self.timings.steps(plain)
        rewind = self.timings.best(REWIND) or 0.0
        chosen: tuple[Offer | None, int] = (None, 0)
        best = 0.0
        for offer, stands in rates:
            least = _gain(offer) / plain
            each = 0.0 if offer.free else self.timings.draft(offer.kind, plain)
            longest = min(most, offer.longest)
            for length, step in zip(lengths(), steps, strict=True):
                if length > longest:
                    break
                if stands < FIRST and not self.timings.tried(length + 1):
                    continue
                refused = 1 - stands**length
                seconds = step + length * each + refused * rewind
                rate = (1 - stands ** (length + 1)) / (1 - stands) / seconds
                if rate > max(best, least):
                    best, chosen = rate, (offer, length)
        return chosen


def _gain(offer: Offer) -> float:
    return FREE_GAIN if offer.free else GAIN
