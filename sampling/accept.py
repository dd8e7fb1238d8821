"""The accept rule of speculative decoding: which drafted tokens stand, and what comes after them.

match: the target draws at every position with its own chain; a draft stands while it equals what
is drawn. The ids are those of plain generation, whatever the drafter (given logits of the same
bits). rejection (Leviathan et al., arXiv:2211.17192): a draft x from q stands with probability
min(1, p(x) / q(x)), else the id is drawn from max(0, p - q) normalised; ids are then distributed as
p, though not the same as without drafts. It needs a draft length that does not depend on the
drafts, and drafts drawn with other random numbers than the target's (Stream.DRAFT). Every random
number is keyed by (seed, output position, stream).
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from .candidates import Distribution, locate
from .draw import Stream, draw, uniform
from .errors import SamplingError
from .portable import total


class Verified(NamedTuple):
    """The ids to emit, and how many of them were drafted; one more comes from the target."""

    ids: list[int]
    accepted: int


def match(
    drafts: Sequence[int],
    pick: Callable[[int], int],
    emit: Callable[[int], None],
    ends: Collection[int] = (),
) -> Verified:
    """Verify drafts by the target's own draws.

    `pick(i)` draws from row i (the row after i drafts), 0 <= i <= len(drafts); `emit(id)` advances
    the target's sampler before the next pick. After an id of `ends` nothing more is drawn.
    """
    ids: list[int] = []
    for i in range(len(drafts) + 1):
        token = pick(i)
        emit(token)
        ids.append(token)
        if i == len(drafts) or token != drafts[i]:
            return Verified(ids, i)
        if token in ends:
            break
    return Verified(ids, len(ids))


def rejection(
    drafts: Sequence[int],
    proposals: Sequence[Distribution],
    target: Callable[[int], Distribution],
    emit: Callable[[int], None],
    *,
    seed: int,
    position: int,
    ends: Collection[int] = (),
) -> Verified:
    """Verify drafts so that the ids are distributed as the target's chain would draw them.

    `proposals[i]` is the distribution draft i was drawn from, `target(i)` the chain's at row i,
    `position` the output position of draft 0. `emit` and `ends` as in `match`.
    """
    if len(drafts) != len(proposals):
        found, wanted = len(proposals), len(drafts)
        raise SamplingError(f"proposals: found {found}, expected {wanted}, one for each draft")
    ids: list[int] = []
    for i, draft in enumerate(drafts):
        token, stands = verify_one(draft, target(i), proposals[i], seed, position + i)
        emit(token)
        ids.append(token)
        if not stands:
            return Verified(ids, i)
        if token in ends:
            return Verified(ids, i + 1)
    token = draw(target(len(drafts)), uniform(seed, position + len(drafts)))
    emit(token)
    return Verified([*ids, token], len(drafts))


def verify_one(
    draft: int, p: Distribution, q: Distribution, seed: int, position: int
) -> tuple[int, bool]:
    """Return the id for one position and whether it is the draft, which was drawn from q."""
    proposed = q.probability(draft)
    if proposed <= 0.0:
        raise SamplingError(f"draft {draft}: found probability 0 in its own proposal, expected > 0")
    if uniform(seed, position, Stream.ACCEPT) * proposed < p.probability(draft):
        return draft, True
    return draw(residual(p, q), uniform(seed, position, Stream.RESIDUAL)), False


def residual(p: Distribution, q: Distribution) -> Distribution:
    """Return max(0, p - q) normalised, or p where rounding leaves nothing of it."""
    rest = p.probs.copy()
    at, of = locate(p.ids, q.ids)
    rest[at] = np.maximum(0.0, rest[at] - q.probs[of])
    mass = total(rest)
    return Distribution(p.ids, rest / mass) if mass > 0.0 else p
