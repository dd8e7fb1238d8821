"""Routers: the kernel's choice and weights against the twin's, over odd sizes and every rule.

Where scores are compared as they are, the choice is the twin's. Where a bias or groups stand
between, float32 scores decide: two experts may change places if the twin's ranks of them lie within
the rounding of both, and in no other case.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gnomon.kernels.router import SCORES_REF, Routing, choose_ref, route_ref, weigh_ref
from gnomon.kernels.tape_ops import TapeOps
from gnomon.kernels.team import team

EPS = 2.0**-23
KINDS = list(SCORES_REF)
SIZES = [(1, 1), (2, 2), (7, 3), (16, 4), (17, 17), (33, 6), (64, 8), (128, 8), (257, 20)]


def route(
    rule: Routing,
    logits: np.ndarray,
    bias: np.ndarray | None = None,
    factors: np.ndarray | None = None,
    threads: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    ops = TapeOps(False, threads)
    tape = ops.record()
    ids, weights = ops.route(rule, logits, bias, factors)
    with team().lock:
        ops.run(tape)
    return np.array(ids), np.array(weights)


def some(rows: int, count: int, seed: int = 5) -> np.ndarray:
    """Logits as a router makes them, a few far out."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, count), dtype=np.float32) * 3
    x[:, ::5] *= 6
    return x


def score_bound(rule: Routing, logits: np.ndarray) -> np.ndarray:
    """How far a float32 score may lie from the twin's, relative to it.

    exp is within 2 units, and what it is given is a difference rounded once: its rounding counts
    as often as the difference is large. Sums take count / 16 + 4 additions; a quotient rounds once.
    Below exp's range scores are 0, or the one at its end.
    """
    count, wide = logits.shape[1], logits.astype(np.float64)
    if rule.scores == "softmax_of_chosen":
        return np.zeros(wide.shape)
    if rule.scores == "softmax":
        far = wide.max(1, keepdims=True) - wide
        return (far / 2 + 2 * 2 + count / 16 + 4 + 1) * EPS
    return np.full(wide.shape, 6 * EPS)


def weight_bound(rule: Routing, logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The same for weights: a norm adds its sum's and its quotient's rounding, a scale its own."""
    at = ids.astype(np.int64)
    bound = np.take_along_axis(score_bound(rule, logits), at, 1)
    if rule.scores == "softmax_of_chosen":
        chosen = np.take_along_axis(logits, at, 1)
        bound = score_bound(replace(rule, scores="softmax"), chosen)
    if rule.normed:
        bound = bound + bound.max(1, keepdims=True) + (ids.shape[1] / 16 + 5) * EPS
    return bound + 2 * EPS


def check_weights(rule: Routing, logits: np.ndarray, ids: np.ndarray, found: np.ndarray) -> None:
    exact = weigh_ref(rule, logits.astype(np.float64), ids.astype(np.float64))
    bound = weight_bound(rule, logits, ids) * np.abs(exact) + 2e-38
    assert (np.abs(found - exact) <= bound).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "used"), SIZES)
@pytest.mark.parametrize("normed", [False, True])
def test_without_a_bias_the_choice_is_the_twins(
    kind: str, count: int, used: int, normed: bool
) -> None:
    rule, logits = Routing(kind, used, normed, 2.5), some(5, count)
    ids, weights = route(rule, logits)
    assert np.array_equal(ids, choose_ref(rule, logits.astype(np.float64)))
    check_weights(rule, logits, ids, weights)


def ranks_of(rule: Routing, logits: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    scores = SCORES_REF[rule.scores](logits.astype(np.float64))
    return scores if bias is None else scores + bias


def rank_bound(rule: Routing, logits: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Absolute: the score's rounding, and that of the sum with the bias."""
    scores = ranks_of(rule, logits, None)
    ranks = ranks_of(rule, logits, bias)
    return score_bound(rule, logits) * np.abs(scores) + EPS * np.abs(ranks) + 2e-38


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "used"), SIZES)
def test_with_a_bias_only_ranks_within_rounding_change_places(
    kind: str, count: int, used: int
) -> None:
    rule, logits = Routing(kind, used), some(9, count, 6)
    bias = np.random.default_rng(7).standard_normal(count, dtype=np.float32)
    ids, weights = route(rule, logits, bias)
    ranks, error = ranks_of(rule, logits, bias), rank_bound(rule, logits, bias)
    wanted = choose_ref(rule, logits.astype(np.float64), bias.astype(np.float64))
    for row in range(len(logits)):
        assert len(set(ids[row])) == used
        for found, best in zip(ids[row].astype(int), wanted[row].astype(int), strict=True):
            gap = abs(ranks[row, best] - ranks[row, found])
            assert found == best or gap <= error[row, best] + error[row, found]
    check_weights(rule, logits, ids, weights)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    ("count", "groups", "open_", "used"),
    [
        (4, 4, 2, 2),
        (8, 4, 1, 5),
        (12, 3, 1, 4),
        (32, 8, 4, 6),
        (256, 8, 4, 8),
        (160, 8, 3, 6),
        (51, 17, 5, 7),
    ],
)
def test_only_the_best_groups_are_open(
    kind: str, count: int, groups: int, open_: int, used: int
) -> None:
    """With these seeds what decides lies further apart than rounding, which is checked as well."""
    rule = Routing(kind, used, False, 1.0, groups, open_)
    logits = np.random.default_rng(8).standard_normal((9, count), dtype=np.float32)
    bias = np.random.default_rng(9).standard_normal(count, dtype=np.float32)
    grouped = ranks_of(rule, logits, bias).reshape(9, groups, -1)
    best = -np.sort(-np.sort(grouped, axis=2)[..., -2:].sum(2), axis=1)
    order = np.argsort(-np.sort(grouped, axis=2)[..., -2:].sum(2), axis=1)[:, :open_, None]
    ranks = -np.sort(-np.take_along_axis(grouped, order, 1).reshape(9, -1), axis=1)
    least = 4 * rank_bound(rule, logits, bias).max()
    assert (best[:, open_ - 1] - best[:, open_]).min() > least
    assert -np.diff(ranks[:, : used + 1], axis=1).max() > least
    ids, _ = route(rule, logits, bias)
    wanted = choose_ref(rule, logits.astype(np.float64), bias.astype(np.float64))
    assert np.array_equal(ids, wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [5, 16, 40])
def test_of_equal_scores_the_first_are_chosen(kind: str, count: int) -> None:
    logits = np.zeros((3, count), np.float32)
    logits[1, count // 2 :] = 1
    bias = np.zeros(count, np.float32)
    for given in (None, bias):
        ids, _ = route(Routing(kind, 4), logits, given)
        assert ids[0].tolist() == [0, 1, 2, 3]
        half = [*range(count // 2, count), *range(count // 2)]
        assert ids[1].tolist() == half[:4]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [1, 5])
def test_a_row_has_the_same_bits_alone_and_among_others(kind: str, groups: int) -> None:
    rule = Routing(kind, 6, True, 1.5, groups, 2 if groups > 1 else 1)
    logits = some(300, 40)
    bias = np.random.default_rng(3).standard_normal(40, dtype=np.float32)
    whole = route(rule, logits, bias)
    for row in (0, 1, 150, 299):
        alone = route(rule, logits[row : row + 1], bias, threads=1)
        for one, all_ in zip(alone, whole, strict=True):
            assert one[0].tobytes() == all_[row].tobytes()


def test_an_experts_factor_multiplies_its_weight() -> None:
    rule, logits = Routing("softmax", 5, True), some(4, 30)
    factors = np.random.default_rng(4).standard_normal(30, dtype=np.float32)
    plain_ids, plain = route(rule, logits)
    ids, weights = route(rule, logits, None, factors)
    assert np.array_equal(ids, plain_ids)
    assert np.array_equal(weights, plain * factors[ids.astype(int)])
    wide = route_ref(rule, logits.astype(np.float64), None, factors.astype(np.float64))
    np.testing.assert_allclose(weights, wide[1], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("groups", [1, 4])
def test_ids_are_experts_whatever_the_logits_are(kind: str, value: float, groups: int) -> None:
    rule = Routing(kind, 6, True, 1.0, groups, groups)
    logits = np.full((2, 20), value, np.float32)
    ids, weights = route(rule, logits)
    assert ids[0].tolist() == [0, 1, 2, 3, 4, 5]
    if np.isnan(value):
        assert np.isnan(weights).all()


def test_what_is_no_number_is_chosen_last() -> None:
    logits = np.array([[np.nan, 1, np.nan, 3, 2]], np.float32)
    assert route(Routing("sigmoid", 4), logits)[0].tolist() == [[3, 4, 1, 0]]


def test_a_small_sum_of_weights_is_not_taken_for_less_than_a_float16() -> None:
    logits = np.full((1, 8), -30, np.float32)
    _, weights = route(Routing("sigmoid", 2, True), logits)
    np.testing.assert_allclose(weights, np.exp(-30.0) / 2**-14, rtol=1e-5)
