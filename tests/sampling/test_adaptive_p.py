"""Adaptive-p against its formula, and the walk of its mean."""

import numpy as np
import pytest

from gnomon.sampling.adaptive_p import AdaptivePState, adapt
from gnomon.sampling.candidates import Candidates, softmax
from gnomon.sampling.draw import draw, uniform
from gnomon.sampling.params import AdaptiveP


@pytest.mark.parametrize("shape", ["random", "ties", "minus infinity", "one candidate"])
def test_new_logits_are_their_twin(shape: str) -> None:
    rng = np.random.default_rng(len(shape))
    for _ in range(200):
        size = 1 if shape == "one candidate" else int(rng.integers(2, 40))
        logits = rng.normal(0.0, 3.0, size)
        if shape == "ties":
            logits = np.round(logits)
        if shape == "minus infinity":
            logits[1:][rng.random(size - 1) < 0.5] = -np.inf
        target, alive = float(rng.random()), np.flatnonzero(logits > -np.inf)
        p = np.exp(logits) / np.exp(logits).sum()
        d = abs(p[alive] - target) / 0.3
        found = adapt(Candidates(np.arange(size), logits), target)
        assert found.ids.tolist() == alive.tolist()
        np.testing.assert_allclose(found.logits, 5 - 10 * d**2 / (1 + d), rtol=1e-9, atol=1e-9)


def test_the_first_target_is_the_target() -> None:
    c = Candidates(np.arange(2), np.log([0.3, 0.7]))
    state = AdaptivePState(AdaptiveP(target=0.3))
    np.testing.assert_allclose(state.apply(c).logits, adapt(c, 0.3).logits, rtol=1e-12)


def test_a_likelier_draw_than_wanted_lowers_the_next_target() -> None:
    c = Candidates(np.arange(2), np.log([0.3, 0.7]))
    state = AdaptivePState(AdaptiveP(target=0.4, decay=0.5))
    state.accept(0.7)
    mean = (0.7 + 0.5 * 0.8) / (1.0 + 0.5 * 2.0)
    np.testing.assert_allclose(state.apply(c).logits, adapt(c, 0.8 - mean).logits, rtol=1e-12)


def test_the_mean_probability_drawn_comes_near_the_target() -> None:
    rng = np.random.default_rng(3)
    state = AdaptivePState(AdaptiveP(target=0.5))
    drawn = []
    for position in range(500):
        c = Candidates(np.arange(6), rng.normal(0.0, 2.0, 6))
        p = softmax(c).probability(draw(softmax(state.apply(c)), uniform(5, position)))
        drawn.append(p)
        state.accept(p)
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
