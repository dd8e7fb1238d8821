"""The accept rule: matching changes nothing, rejection keeps the distribution."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from gnomon.sampling.accept import Verified, match, rejection, residual, verify_one
from gnomon.sampling.candidates import Distribution
from gnomon.sampling.draw import Stream, draw, uniform
from gnomon.sampling.errors import SamplingError
from gnomon.sampling.portable import F64

TOY = 16
DRAWS = 20_000


def of(probs: Sequence[float] | F64) -> Distribution:
    probs = np.array(probs, dtype=np.float64)
    return Distribution(np.arange(probs.size), probs / probs.sum())


# --- match ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drafts", "ids", "accepted"),
    [
        ([], [4], 0),
        ([4, 5, 6], [4, 5, 6, 7], 3),
        ([4, 9, 6], [4, 5], 1),
        ([9, 5, 6], [4], 0),
        ([4, 5, 6, 7, 0], [4, 5, 6, 7, 8], 4),
        ([-1], [4], 0),
        ([10**9], [4], 0),
    ],
)
def test_match_gives_what_the_target_draws(
    drafts: list[int], ids: list[int], accepted: int
) -> None:
    emitted: list[int] = []
    target = [4, 5, 6, 7, 8]
    found = match(drafts, lambda i: target[i], emitted.append)
    assert found == Verified(ids, accepted)
    assert emitted == ids


def test_match_draws_nothing_after_an_end() -> None:
    emitted: list[int] = []
    found = match([4, 2, 6], lambda i: [4, 2, 6, 7][i], emitted.append, ends={2})
    assert found == Verified([4, 2], 2)
    assert emitted == [4, 2]


def test_match_emits_each_id_before_the_next_pick() -> None:
    emitted: list[int] = []
    seen: list[int] = []

    def pick(_: int) -> int:
        seen.append(len(emitted))
        return 1

    match([1, 1, 1], pick, emitted.append)
    assert seen == [0, 1, 2, 3]


# --- rejection: one position ---------------------------------------------------------------------

RNG = np.random.default_rng(5)
PAIRS = {
    "dirichlet": (RNG.dirichlet(np.ones(TOY)), RNG.dirichlet(np.ones(TOY))),
    "peaked": (np.r_[np.full(15, 0.01), 0.85], np.r_[0.85, np.full(15, 0.01)]),
    "disjoint": (np.r_[np.ones(8), np.zeros(8)], np.r_[np.zeros(8), np.ones(8)]),
    "equal": (np.arange(1.0, 17.0), np.arange(1.0, 17.0)),
    "zeros in the proposal": (np.ones(16), np.r_[np.ones(3), np.zeros(13)]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_accepted_or_replaced_ids_are_distributed_as_the_target(name: str) -> None:
    p, q = (of(x) for x in PAIRS[name])
    counts = np.zeros(TOY)
    for position in range(DRAWS):
        draft = draw(q, uniform(3, position, Stream.DRAFT))
        counts[verify_one(draft, p, q, 3, position)[0]] += 1
    # The expected distance of DRAWS exact draws is below half of this.
    assert np.abs(counts / DRAWS - p.probs).sum() / 2 < math.sqrt(TOY / DRAWS)


def test_drafts_are_accepted_as_often_as_the_distributions_overlap() -> None:
    p, q = (of(x) for x in PAIRS["dirichlet"])
    drafts = [draw(q, uniform(4, i, Stream.DRAFT)) for i in range(DRAWS)]
    stood = sum(verify_one(draft, p, q, 4, i)[1] for i, draft in enumerate(drafts))
    overlap = np.minimum(p.probs, q.probs).sum()
    assert stood / DRAWS == pytest.approx(overlap, abs=4 * math.sqrt(0.25 / DRAWS))


def test_a_draft_never_stands_where_the_target_gives_it_nothing() -> None:
    p, q = of([0.0, 1.0]), of([1.0, 0.0])
    assert {verify_one(0, p, q, 1, i) for i in range(100)} == {(1, False)}


def test_a_draft_always_stands_where_the_target_likes_it_more() -> None:
    p, q = of([0.9, 0.1]), of([0.5, 0.5])
    assert {verify_one(0, p, q, 1, i) for i in range(100)} == {(0, True)}


def test_an_id_outside_the_vocabulary_is_replaced() -> None:
    q = Distribution(np.array([10**9]), np.ones(1))
    assert verify_one(10**9, of([0.0, 1.0]), q, 1, 0) == (1, False)


def test_a_draft_that_its_proposal_excludes_is_refused() -> None:
    with pytest.raises(SamplingError, match="draft 1: found probability 0"):
        verify_one(1, of([0.5, 0.5]), of([1.0, 0.0]), 1, 0)


def test_residual_is_what_the_target_has_more() -> None:
    rest = residual(of([0.5, 0.3, 0.2]), of([0.2, 0.5, 0.3]))
    assert rest.probs.tolist() == [1.0, 0.0, 0.0]


def test_residual_of_equal_distributions_is_the_target() -> None:
    p = of([0.5, 0.5])
    assert residual(p, p) is p


def test_residual_matches_ids_not_places() -> None:
    p = Distribution(np.array([2, 5, 9]), np.array([0.2, 0.5, 0.3]))
    q = Distribution(np.array([5, 7]), np.array([0.1, 0.9]))
    rest = residual(p, q)
    np.testing.assert_allclose(rest.probs, np.array([0.2, 0.4, 0.3]) / 0.9, rtol=1e-15)


# --- rejection: sequences ------------------------------------------------------------------------

TARGET = RNG.dirichlet(np.ones(3) * 0.7, size=(4, 4))  # [previous but one, previous, id]
DRAFTER = RNG.dirichlet(np.ones(3) * 0.7, size=(4, 4))
DEPTH = 4


def row_of(table: F64, text: Sequence[int]) -> Distribution:
    padded = [3, 3, *text]
    return of(table[padded[-2], padded[-1]])


def speculate(seed: int, length: int) -> tuple[int, ...]:
    text: list[int] = []
    while len(text) < DEPTH:
        drafts: list[int] = []
        proposals: list[Distribution] = []
        for i in range(length):
            proposals.append(row_of(DRAFTER, [*text, *drafts]))
            drafts.append(draw(proposals[-1], uniform(seed, len(text) + i, Stream.DRAFT)))
        position = len(text)
        rejection(
            drafts,
            proposals,
            lambda i: row_of(TARGET, text),
            text.append,
            seed=seed,
            position=position,
        )
    return tuple(text[:DEPTH])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_texts_have_the_probabilities_of_the_target_s_paths(length: int) -> None:
    count = 10_000
    found = Counter(speculate(seed, length) for seed in range(count))
    distance = 0.0
    for code in range(3**DEPTH):
        path = tuple(code // 3**i % 3 for i in range(DEPTH))
        exact = 1.0
        for i, token in enumerate(path):
            exact *= row_of(TARGET, path[:i]).probability(token)
        distance += abs(found[path] / count - exact) / 2
    assert distance < math.sqrt(3**DEPTH / count)


@pytest.mark.parametrize(
    ("drafts", "ends", "found"),
    [
        ([1, 1], (), Verified([1, 1, 1], 2)),
        ([1, 1], (1,), Verified([1], 1)),
        ([0, 1], (), Verified([1], 0)),
        ([1, 0, 1], (), Verified([1, 1], 1)),
        ([], (), Verified([1], 0)),
    ],
)
def test_rejection_stops_at_an_end_and_at_the_first_replacement(
    drafts: list[int], ends: tuple[int, ...], found: Verified
) -> None:
    emitted: list[int] = []
    proposals = [Distribution(np.array([draft]), np.ones(1)) for draft in drafts]
    certain = of([0.0, 1.0])
    verified = rejection(
        drafts, proposals, lambda _: certain, emitted.append, seed=1, position=0, ends=ends
    )
    assert verified == found
    assert emitted == found.ids


def test_proposals_must_be_as_many_as_drafts() -> None:
    with pytest.raises(SamplingError, match="proposals: found 0, expected 1"):
        rejection([1], [], lambda i: of([1.0]), lambda token: None, seed=1, position=0)
