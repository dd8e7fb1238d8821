"""A chain's last steps over few candidates: compiled and as the twin the same ids and bits."""

from itertools import permutations

import numpy as np
import pytest

from gnomon.kernels.chain_of_few import STEPS, chain_of_few_ref, few_left, steps_of

NUMBERS = {
    "topP": (0.0, 0.1, 0.5, 0.95, 0.999),
    "minP": (-7.0, -0.7, 0.0),
    "temperature": (0.1, 0.8, 2.0, 1e-150),
}
ORDERS = [order for size in range(4) for order in permutations(NUMBERS, size)]


def candidates(size: int, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    values = rng.normal(0.0, 3.0, size)
    if kind == "ties":
        values = np.round(values)
    if kind == "-inf":
        values[rng.random(size) < 0.4] = -np.inf
        values[rng.integers(size)] = 1.0
    return np.sort(rng.choice(100_000, size, replace=False)), values


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40, 128])
@pytest.mark.parametrize("kind", ["any", "ties", "-inf"])
def test_ids_and_bits_are_those_of_the_twin(size: int, kind: str) -> None:
    rng = np.random.default_rng([size, len(kind)])
    for order in ORDERS:
        given = candidates(size, kind, rng)
        steps = steps_of([(name, rng.choice(NUMBERS[name])) for name in order])
        found, wanted = few_left(*given, steps), chain_of_few_ref(*given, steps)
        assert found[0].tolist() == wanted[0].tolist()
        assert found[1].tobytes() == wanted[1].tobytes()


def test_what_is_given_stays() -> None:
    ids, values = np.arange(5), np.arange(5.0)
    few_left(ids, values, steps_of([("temperature", 2.0), ("topP", 0.5)]))
    assert ids.tolist() == values.tolist() == list(range(5))


def test_a_step_is_known_by_its_name_in_configs() -> None:
    assert set(STEPS) == set(NUMBERS)
    with pytest.raises(KeyError, match="typical"):
        steps_of([("typical", 0.5)])
