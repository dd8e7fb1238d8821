"""The k best of a row and its patch are those of the twin; NaN and infinity are noticed."""

import numpy as np
import pytest

from gnomon.kernels.top_of_row import MOST, best_of_row, top_of_row_ref


def row_and_patch(size: int, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([size, ties])
    row = rng.normal(0.0, 2.0, size)
    row = (np.round(row) if ties else row).astype(np.float32)
    row[rng.random(size) < 0.2] = -np.inf
    ids = np.sort(rng.choice(size, size // 3, replace=False))
    values = rng.integers(-3, 4, ids.size).astype(np.float64)
    values[rng.random(ids.size) < 0.2] = -np.inf
    return row, ids, values


@pytest.mark.parametrize("size", [1, 2, 15, 17, 127, 128, 129, 1000, 4099])
@pytest.mark.parametrize("ties", [False, True])
def test_the_best_are_those_of_the_twin(size: int, ties: bool) -> None:
    row, ids, values = row_and_patch(size, ties)
    for patch in ((ids, values), (ids[:0], values[:0])):
        for k in (1, 2, 7, 40, MOST):
            found_ids, found_values, all_below = best_of_row(row, *patch, k)
            wanted_ids, wanted_values = top_of_row_ref(row, *patch, k)
            assert found_ids.tolist() == wanted_ids.tolist()
            assert found_values.tolist() == wanted_values.tolist()
            assert all_below


@pytest.mark.parametrize("falling", [False, True])
def test_the_best_of_a_sorted_vocabulary(falling: bool) -> None:
    row = np.arange(262_144, dtype=np.float32)
    row = -row if falling else row
    found, _, _ = best_of_row(row, np.arange(0), np.zeros(0), 40)
    assert found.tolist() == list(range(40) if falling else range(262_104, 262_144))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.nan])
@pytest.mark.parametrize("place", [0, 70, 127, 128, 255, 256, 299])
def test_what_is_not_below_infinity_is_noticed(bad: float, place: int) -> None:
    row = np.random.default_rng(1).normal(size=300).astype(np.float32)
    row[place] = bad
    patch = np.array([place]), np.zeros(1)
    for k in (1, 40):
        assert not best_of_row(row, np.arange(0), np.zeros(0), k)[2]
        assert not best_of_row(row, *patch, k)[2]  # even where the patch replaces it
