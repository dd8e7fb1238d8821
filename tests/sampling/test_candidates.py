"""Choosing the largest of many values, in one order."""

import numpy as np
import pytest

from gnomon.sampling.candidates import (
    Candidates,
    Distribution,
    leading,
    locate,
    ranked,
    softmax,
    top_positions,
)


def by_sorting(values: np.ndarray, k: int) -> list[int]:
    return sorted(range(values.size), key=lambda i: (-values[i], i))[:k]


@pytest.mark.parametrize("size", [0, 1, 2, 31, 32, 33, 64, 1000, 4099])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_top_positions_are_those_of_a_sort(size: int, dtype: type) -> None:
    rng = np.random.default_rng(size)
    for k in (0, 1, 2, 7, 31, 40, size - 1, size, size + 1):
        for values in (rng.normal(size=size), rng.integers(0, 5, size), np.zeros(size)):
            values = values.astype(dtype)
            values[rng.random(size) < 0.2] = -np.inf
            assert top_positions(values, k).tolist() == sorted(by_sorting(values, max(k, 0)))


def test_top_positions_of_a_vocabulary_of_262144() -> None:
    values = np.random.default_rng(1).normal(size=262_144).astype(np.float32)
    assert top_positions(values, 40).tolist() == sorted(np.argsort(-values)[:40].tolist())


def test_top_positions_of_equal_values_are_the_first() -> None:
    assert top_positions(np.full(262_144, -np.inf), 3).tolist() == [0, 1, 2]


def test_ranked_positions_fall_and_equal_values_keep_their_order() -> None:
    assert ranked(np.array([1.0, 3.0, 1.0, 3.0, 2.0]), 4).tolist() == [1, 3, 4, 0]


def test_leading_looks_further_until_the_mass_is_reached() -> None:
    rng = np.random.default_rng(2)
    values, w = rng.normal(size=20_000), rng.random(20_000)
    order = np.argsort(-values)
    for share in (1e-5, 0.01, 0.3, 0.99):
        mass = share * w.sum()
        count = int(np.searchsorted(np.cumsum(w[order]), mass)) + 1
        assert leading(values, w, mass, beyond=False).tolist() == sorted(order[:count].tolist())


def test_leading_takes_all_where_the_sum_never_gets_there() -> None:
    assert leading(np.zeros(300), np.ones(300), 301.0, beyond=False).size == 300


def test_locate_ignores_ids_that_are_not_there() -> None:
    at, of = locate(np.array([2, 5, 9]), np.array([0, 5, 9, 11]))
    assert (at.tolist(), of.tolist()) == ([1, 2], [1, 2])


@pytest.mark.parametrize(("ids", "wanted"), [([], [1]), ([1], []), ([], [])])
def test_locate_of_nothing_is_nothing(ids: list[int], wanted: list[int]) -> None:
    at, of = locate(np.array(ids, dtype=np.int64), np.array(wanted, dtype=np.int64))
    assert at.size == of.size == 0


def test_softmax_sums_to_one_and_gives_nothing_to_minus_infinity() -> None:
    probs = softmax(Candidates(np.arange(3), np.array([0.0, -np.inf, np.log(3.0)]))).probs
    np.testing.assert_allclose(probs, [0.25, 0.0, 0.75], rtol=1e-15)


@pytest.mark.parametrize(("token", "probability"), [(3, 0.25), (7, 0.75), (5, 0.0), (99, 0.0)])
def test_probability_of_a_token(token: int, probability: float) -> None:
    assert Distribution(np.array([3, 7]), np.array([0.25, 0.75])).probability(token) == probability
