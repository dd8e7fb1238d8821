"""Logit bias and the penalties of the recent window."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from gnomon.sampling.candidates import Candidates
from gnomon.sampling.penalties import Window, add, bounded, penalise

SHAPES = ("random", "ties", "minus infinity", "one candidate", "all equal")
CASES_PER_SHAPE = 160


def rows(shape: str, seed: int) -> Iterator[tuple[Candidates, np.random.Generator]]:
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    for _ in range(CASES_PER_SHAPE):
        size = 1 if shape == "one candidate" else int(rng.integers(2, 40))
        logits = rng.integers(-2, 3, size).astype(np.float64) if shape == "ties" else None
        logits = rng.normal(0.0, 3.0, size) if logits is None else logits
        if shape == "all equal":
            logits[:] = logits[0]
        if shape == "minus infinity":
            logits[rng.random(size) < 0.5] = -np.inf
        yield Candidates(np.sort(rng.choice(2 * size, size, replace=False)), logits), rng


@pytest.mark.parametrize("shape", SHAPES)
def test_penalties_are_their_twin(shape: str) -> None:
    for c, rng in rows(shape, 1):
        text = rng.integers(0, 2 * c.ids.size, int(rng.integers(0, 50))).tolist()
        last_n = int(rng.integers(-1, 30))
        repeat, frequency, presence = rng.uniform(0.5, 2.0), rng.normal(), rng.normal()
        counts = Counter(text if last_n < 0 else text[len(text) - min(last_n, len(text)) :])
        expected = []
        for token, logit in zip(c.ids.tolist(), c.logits.tolist(), strict=True):
            if token in counts:
                logit = logit / repeat if logit > 0 else logit * repeat
                logit -= counts[token] * frequency + presence
            expected.append(logit)
        window = Window(last_n)
        for token in text:
            window.accept(token)
        assert penalise(c, window, repeat, frequency, presence).logits.tolist() == expected


@pytest.mark.parametrize("shape", SHAPES)
def test_bias_is_its_twin(shape: str) -> None:
    for c, rng in rows(shape, 2):
        chosen = np.sort(rng.choice(2 * c.ids.size, c.ids.size, replace=False))
        bias = {int(i): float(rng.choice([rng.normal(), -np.inf])) for i in chosen}
        pairs = zip(c.ids.tolist(), c.logits.tolist(), strict=True)
        expected = [logit + bias.get(token, 0.0) for token, logit in pairs]
        assert add(c, chosen, np.array(list(bias.values()))).logits.tolist() == expected


def test_extend_and_accept_fill_a_window_alike() -> None:
    text = np.random.default_rng(3).integers(0, 5, 30).tolist()
    for last_n in (-1, 0, 1, 7, 30, 64):
        one, many = Window(last_n), Window(last_n)
        for token in text:
            one.accept(token)
        many.extend(text[:11])
        many.extend(text[11:])
        assert [x.tolist() for x in one.table()] == [x.tolist() for x in many.table()]


def test_a_copied_window_goes_its_own_way() -> None:
    window = Window(2)
    window.extend([1, 2])
    other = window.copy()
    other.accept(3)
    assert window.table()[0].tolist() == [1, 2]
    assert other.table()[0].tolist() == [2, 3]


def test_edits_leave_their_input_as_it_was() -> None:
    c = Candidates(np.arange(2), np.array([1.0, -1.0]))
    window = Window(4)
    window.extend([0, 1])
    penalise(c, window, 2.0, 0.0, 0.0)
    assert c.logits.tolist() == [1.0, -1.0]


@pytest.mark.parametrize(("number", "within"), [(1e61, 1e60), (-1e308, -1e60), (2.5, 2.5)])
def test_numbers_are_bounded(number: float, within: float) -> None:
    assert bounded(number) == within


def test_a_ban_stays_a_ban() -> None:
    assert bounded(-np.inf) == -np.inf
