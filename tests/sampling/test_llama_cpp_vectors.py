"""The vectors and order properties of llama.cpp's sampler tests, restated as data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.sampling import filters
from gnomon.sampling.candidates import Candidates, softmax
from gnomon.sampling.dry import Repeats, lower_repeats
from gnomon.sampling.params import Dry
from gnomon.sampling.penalties import Window, penalise

# Remade by golden/make_sampling.py.
GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "sampling.json").read_text())


def logits_of(probs: list[float]) -> Candidates:
    with np.errstate(divide="ignore"):
        logits = np.log(np.array(probs, dtype=np.float32))
    return Candidates(np.arange(len(probs)), logits.astype(np.float64))


def penalties(c: Candidates, case: dict[str, Any]) -> Candidates:
    window = Window(len(case["tokens"]))
    for token in case["tokens"]:
        window.accept(token)
    return penalise(c, window, case["repeat"], case["frequency"], case["presence"])


def dry(c: Candidates, case: dict[str, Any]) -> Candidates:
    names = ("multiplier", "base", "allowed_length", "last_n")
    breakers = tuple("".join(map(chr, sequence)) for sequence in case["breakers"])
    params = Dry(breakers=breakers, **{name: case[name] for name in names})
    repeats = Repeats(params, lambda token: bytes([token]))
    for token in case["tokens"]:
        repeats.accept(token)
    return lower_repeats(c, repeats)


STAGES: dict[str, Callable[[Candidates, dict[str, Any]], Candidates]] = {
    "temp": lambda c, case: filters.temperature(c, case["temperature"]),
    "temp_ext": lambda c, case: filters.dynamic_temperature(
        c, case["temperature"], case["spread"], case["exponent"]
    ),
    "top_k": lambda c, case: filters.top_k(c, case["k"]),
    "top_p": lambda c, case: filters.top_p(c, case["p"]),
    "min_p": lambda c, case: filters.min_p(c, case["p"]),
    "xtc": lambda c, case: filters.xtc(c, case["threshold"], case["probability"], 0.5),
    "typical": lambda c, case: filters.typical(c, case["p"]),
    "penalties": penalties,
    "dry": dry,
    "top_n_sigma": lambda c, case: filters.top_n_sigma(c, case["n"]),
}


def test_the_file_restates_41_vectors_and_24_queues() -> None:
    assert (len(GOLDEN["cases"]), len(GOLDEN["queues"])) == (41, 24)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["stage"])
def test_probabilities_after_a_stage(case: dict[str, Any]) -> None:
    start = logits_of(case["probs"])
    left = STAGES[case["stage"]](start, case)
    probs = softmax(left).probs if case["normalised"] else softmax(start).probs[left.ids]
    if case["sorted"]:
        probs = np.sort(probs)[::-1]
    if len(case["expected"]) == start.ids.size and not case["sorted"]:
        # Removed there means -inf: probability 0 at its id.
        spread = np.zeros(start.ids.size)
        spread[left.ids] = probs
        probs = spread
    assert probs.size == len(case["expected"])
    np.testing.assert_allclose(probs, case["expected"], atol=1e-5)


@pytest.mark.parametrize(
    "queue", GOLDEN["queues"], ids=lambda q: f"{q['order']}-{q['k']}-{q['p']}-{q['min_p']:g}"
)
def test_candidates_after_each_stage_of_a_queue(queue: dict[str, Any]) -> None:
    stages: dict[str, Callable[[Candidates], Candidates]] = {
        "k": lambda c: filters.top_k(c, queue["k"]),
        "p": lambda c: filters.top_p(c, queue["p"]),
        "m": lambda c: filters.min_p(c, queue["min_p"]),
    }
    with np.errstate(divide="ignore"):
        logits = np.log(np.arange(queue["n"], dtype=np.float32)).astype(np.float64)
    c = Candidates(np.arange(queue["n"]), logits)
    for stage, expected in zip(queue["order"], queue["steps"], strict=True):
        c = stages[stage](c)
        assert [c.ids.size, int(c.ids[-1]), int(c.ids[0])] == expected
