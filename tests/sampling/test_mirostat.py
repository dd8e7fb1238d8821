"""Mirostat 1 and 2 against their formulas, and the walk of mu."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from gnomon.sampling.candidates import Candidates, softmax
from gnomon.sampling.draw import draw, uniform
from gnomon.sampling.mirostat import MirostatState, mirostat_1, mirostat_2
from gnomon.sampling.params import Mirostat

SHAPES = ("random", "ties", "minus infinity", "one candidate", "large")
CASES_PER_SHAPE = 160


def rows(shape: str, seed: int) -> Iterator[tuple[Candidates, np.random.Generator]]:
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    for _ in range(CASES_PER_SHAPE):
        size = {"one candidate": 1, "large": 300}.get(shape, int(rng.integers(2, 40)))
        logits = rng.normal(0.0, 3.0, size)
        if shape == "ties":
            logits = rng.integers(-3, 4, size).astype(np.float64)
        if shape == "minus infinity":
            logits[rng.random(size) < 0.5] = -np.inf
            logits[0] = 1.0
        yield Candidates(np.arange(size), logits), rng


@pytest.mark.parametrize("shape", SHAPES)
def test_version_2_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 1):
        mu = float(rng.uniform(-1.0, 12.0))
        p = np.exp(c.logits - c.logits.max())
        p /= p.sum()
        kept = [i for i in range(p.size) if p[i] > 0 and -math.log2(p[i]) <= mu]
        assert mirostat_2(c, mu).ids.tolist() == (kept or [int(np.argmax(p))])


@pytest.mark.parametrize("shape", SHAPES)
def test_version_1_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 2):
        mu, n_vocab = float(rng.uniform(0.0, 12.0)), c.ids.size + 1
        order = sorted(range(c.ids.size), key=lambda i: (-c.logits[i], i))
        order = [i for i in order if c.logits[i] > -np.inf]
        falls = [c.logits[i] - c.logits[j] for i, j in pairwise(order[:100])]
        steps = [math.log((i + 2) / (i + 1)) for i in range(len(falls))]
        s = float(np.dot(steps, falls) / np.dot(steps, steps)) if falls else 0.0
        k = len(order)
        if s > 0.0:
            e = s - 1.0
            k = int(min((e * 2**mu / (1 - n_vocab**-e)) ** (1 / s), 1e9))
        assert mirostat_1(c, mu, n_vocab).ids.tolist() == sorted(order[: max(k, 1)])


def test_version_1_of_equal_logits_keeps_all_while_mu_allows_more_than_the_vocabulary() -> None:
    c = Candidates(np.arange(8), np.zeros(8))
    assert mirostat_1(c, 4.0, 8).ids.size == 8
    assert mirostat_1(c, 1.0, 8).ids.size == 1


@pytest.mark.parametrize("version", [1, 2])
def test_surprise_settles_near_tau(version: int) -> None:
    state = MirostatState(Mirostat(version=version, tau=3.0, eta=0.1), 5000)
    c = Candidates(np.arange(5000), -1.1 * np.log(np.arange(1, 5001)))
    surprises = []
    for position in range(600):
        drawn = softmax(state.apply(c))
        p = drawn.probability(draw(drawn, uniform(7, position)))
        surprises.append(-math.log2(p))
        state.accept(p)
    assert np.mean(surprises[100:]) == pytest.approx(3.0, abs=0.2)


def test_mu_starts_at_twice_tau_and_moves_against_the_error() -> None:
    state = MirostatState(Mirostat(version=2, tau=4.0, eta=0.5), 10)
    assert state.mu == 8.0
    state.accept(2.0**-6)
    assert state.mu == pytest.approx(8.0 - 0.5 * (6.0 - 4.0), rel=1e-15)


def test_a_token_that_could_not_be_drawn_leaves_mu() -> None:
    state = MirostatState(Mirostat(version=2), 10)
    state.accept(0.0)
    assert state.mu == 10.0
