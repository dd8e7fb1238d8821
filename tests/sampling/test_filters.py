"""Each filter against a ten-line twin that sorts everything, and its edges one by one."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gnomon.sampling.candidates import Candidates
from gnomon.sampling.filters import (
    dynamic_temperature,
    min_p,
    temperature,
    top_k,
    top_n_sigma,
    top_p,
    typical,
    xtc,
)
from gnomon.sampling.portable import F64

SHAPES = ("random", "ties", "minus infinity", "one candidate", "all equal", "large")
CASES_PER_SHAPE = 160
Generator = np.random.Generator


def rows(shape: str, seed: int) -> Iterator[tuple[Candidates, Generator]]:
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    for _ in range(CASES_PER_SHAPE if shape != "large" else 3):
        size = 1 if shape == "one candidate" else int(rng.integers(2, 60))
        size = 6000 if shape == "large" else size
        logits = rng.normal(0.0, 3.0, size)
        if shape == "ties":
            logits = rng.integers(-3, 4, size).astype(np.float64)
        if shape == "all equal":
            logits = np.full(size, rng.normal())
        if shape == "minus infinity":
            logits[rng.random(size) < 0.5] = -np.inf
            logits[int(rng.integers(size))] = 1.0
        ids = np.sort(rng.choice(4 * size, size, replace=False))
        yield Candidates(ids, logits), rng


def probabilities(logits: F64) -> F64:
    e: F64 = np.exp(logits - logits.max())
    return e / float(e.sum())


def by_rank(logits: F64) -> list[int]:
    return sorted(range(logits.size), key=lambda i: (-logits[i], i))


def until(order: list[int], p: F64, goal: float, beyond: bool = False) -> list[int]:
    mass, kept = 0.0, []
    for i in order:
        kept.append(i)
        mass += p[i]
        if mass > goal or (mass == goal and not beyond):
            break
    return kept


def same(found: Candidates, start: Candidates, kept: list[int]) -> bool:
    kept = sorted(kept)
    return np.array_equal(found.ids, start.ids[kept]) and np.array_equal(
        found.logits, start.logits[kept]
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_top_k_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 1):
        k = int(rng.integers(0, c.ids.size + 2))
        assert same(top_k(c, k), c, by_rank(c.logits)[: k or None])


@pytest.mark.parametrize("shape", SHAPES)
def test_top_p_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 2):
        p = float(rng.random())
        kept = until(by_rank(c.logits), probabilities(c.logits), p)
        assert same(top_p(c, p), c, kept)


@pytest.mark.parametrize("shape", SHAPES)
def test_min_p_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 3):
        p, probs = float(rng.random()), probabilities(c.logits)
        kept = [i for i in range(c.ids.size) if probs[i] >= p * probs.max()]
        assert same(min_p(c, p), c, kept)


@pytest.mark.parametrize("shape", SHAPES)
def test_typical_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 4):
        p, probs = float(rng.random()), probabilities(c.logits)
        alive = [i for i in range(c.ids.size) if probs[i] > 0]
        surprise = {i: float(-np.log(probs[i])) for i in alive}
        entropy = sum(probs[i] * surprise[i] for i in alive)
        order = sorted(alive, key=lambda i: (round(abs(surprise[i] - entropy), 11), i))
        assert same(typical(c, p), c, until(order, probs, p, beyond=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_top_n_sigma_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 5):
        n, finite = float(rng.uniform(0.1, 3.0)), c.logits[np.isfinite(c.logits)]
        bound = finite.max() - n * np.std(finite) - 1e-12
        assert same(top_n_sigma(c, n), c, [i for i in range(c.ids.size) if c.logits[i] >= bound])


@pytest.mark.parametrize("shape", SHAPES)
def test_xtc_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 6):
        threshold, probability, u = rng.random() * 0.4, float(rng.random()), float(rng.random())
        probs = probabilities(c.logits)
        above = [i for i in by_rank(c.logits) if probs[i] >= threshold and probs[i] > 0]
        dropped = above[:-1] if u < probability else []
        kept = [i for i in range(c.ids.size) if i not in dropped]
        assert same(xtc(c, threshold, probability, u), c, kept)


@pytest.mark.parametrize("shape", SHAPES)
def test_temperature_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 7):
        t = float(rng.uniform(0.01, 3.0))
        assert np.array_equal(temperature(c, t).logits, c.logits / t)


@pytest.mark.parametrize("shape", SHAPES)
def test_dynamic_temperature_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 8):
        t, spread, exponent = rng.uniform(0.1, 2.0, 3)
        p = probabilities(c.logits[c.logits > -np.inf])
        if p.size < 2:
            assert dynamic_temperature(c, t, spread, exponent) == c
            continue
        share = -np.sum(p[p > 0] * np.log(p[p > 0])) / np.log(p.size)
        low = max(0.0, t - spread)
        t_now = max(low + (t + spread - low) * share**exponent, 1e-200)
        found = dynamic_temperature(c, t, spread, exponent).logits
        np.testing.assert_allclose(found, c.logits / t_now, rtol=1e-9)


def of(*logits: float) -> Candidates:
    return Candidates(np.arange(len(logits)), np.array(logits))


def test_of_equal_logits_top_k_keeps_the_lower_ids() -> None:
    assert top_k(of(1, 2, 1, 2, 1), 3).ids.tolist() == [0, 1, 3]


def test_top_p_keeps_the_candidate_that_reaches_p_exactly_and_no_more() -> None:
    assert top_p(of(0, 0, 0, 0), 0.5).ids.tolist() == [0, 1]


def test_top_p_keeps_at_least_one_id() -> None:
    assert top_p(of(1, 3, 2), 1e-300).ids.tolist() == [1]


def test_top_p_finds_a_mass_spread_over_more_than_its_first_look() -> None:
    assert top_p(Candidates(np.arange(5000), np.zeros(5000)), 0.5).ids.size == 2500


def test_typical_exceeds_its_mass_where_top_p_only_reaches_it() -> None:
    assert typical(of(0, 0, 0, 0), 0.5).ids.tolist() == [0, 1, 2]


def test_typical_may_drop_the_best_candidate() -> None:
    assert typical(of(*np.log([0.4, 0.2, 0.2, 0.2])), 0.5).ids.tolist() == [1, 2, 3]


def test_min_p_of_one_keeps_every_equal_best() -> None:
    assert min_p(of(2, 1, 2), 1.0).ids.tolist() == [0, 2]


def test_min_p_beyond_one_keeps_the_best() -> None:
    assert min_p(of(2, 1, 0), 1.05).ids.tolist() == [0]


def test_top_n_sigma_ignores_and_drops_minus_infinity() -> None:
    assert top_n_sigma(of(-np.inf, 1, 1, 1), 3.0).ids.tolist() == [1, 2, 3]


def test_xtc_keeps_the_last_ranked_of_equal_top_choices() -> None:
    assert xtc(of(2, 2, -9, 2), 0.1, 1.0, 0.0).ids.tolist() == [2, 3]


def test_xtc_with_threshold_zero_leaves_a_candidate_that_can_be_drawn() -> None:
    assert xtc(of(2, 1, -np.inf), 0.0, 1.0, 0.0).ids.tolist() == [1, 2]


def test_xtc_of_one_top_choice_removes_nothing() -> None:
    assert xtc(of(5, 0, 0), 0.4, 1.0, 0.0).ids.size == 3


def test_xtc_rests_when_the_random_number_is_not_below_its_probability() -> None:
    assert xtc(of(2, 2, 2), 0.1, 0.25, 0.25).ids.size == 3


@pytest.mark.parametrize("t", [0.0, 5e-324, 1e-200])
def test_the_coldest_temperatures_stay_finite(t: float) -> None:
    assert np.isfinite(temperature(of(1e38, -1e38, 0), t).logits).all()


@pytest.mark.parametrize("n", range(2, 60))
def test_dynamic_temperature_of_equal_candidates_stays_finite(n: int) -> None:
    logits = np.append(np.zeros(n), -np.inf)
    found = dynamic_temperature(Candidates(np.arange(n + 1), logits), 1.0, 0.5, 1e300)
    assert not np.isnan(found.logits).any()


def test_dynamic_temperature_of_equal_candidates_is_the_hottest() -> None:
    np.testing.assert_allclose(
        dynamic_temperature(of(3, 3, 3), 1.0, 0.5, 2.0).logits, 3 / 1.5, rtol=1e-12
    )


def test_exponent_zero_makes_dynamic_temperature_constant() -> None:
    found = dynamic_temperature(of(9, 1, 0), 1.0, 0.5, 0.0)
    assert found.logits.tolist() == [6.0, 1 / 1.5, 0.0]


OFF: dict[str, Callable[[Candidates], Candidates]] = {
    "top_k": lambda c: top_k(c, 0),
    "top_p": lambda c: top_p(c, 1.0),
    "min_p": lambda c: min_p(c, 0.0),
    "typical": lambda c: typical(c, 1.0),
    "top_n_sigma": lambda c: top_n_sigma(c, 0.0),
    "xtc": lambda c: xtc(c, 0.1, 0.0, 0.0),
    "temperature": lambda c: temperature(c, 1.0),
    "dynamic_temperature": lambda c: dynamic_temperature(c, 1.0, 0.0, 1.0),
}


@pytest.mark.parametrize("name", OFF)
def test_a_filter_that_is_off_returns_the_same_candidates(name: str) -> None:
    c = of(1.0, -np.inf, 0.5)
    assert OFF[name](c) is c


@pytest.mark.parametrize("shape", SHAPES)
def test_filters_leave_their_input_as_it_was(shape: str) -> None:
    for c, _ in rows(shape, 9):
        ids, logits = c.ids.copy(), c.logits.copy()
        top_p(c, 0.5)
        typical(c, 0.5)
        dynamic_temperature(c, 1.0, 0.5, 1.0)
        xtc(c, 0.01, 1.0, 0.0)
        assert np.array_equal(c.ids, ids)
        assert np.array_equal(c.logits, logits)
