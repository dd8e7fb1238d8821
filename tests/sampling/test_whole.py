"""A row and its patch answer as the edited row would."""

import numpy as np
import pytest

from gnomon.sampling.candidates import Candidates, top_positions
from gnomon.sampling.errors import SamplingError
from gnomon.sampling.whole import check_shape, check_values, checked_top, top, whole


def row_and_patch(seed: int, size: int, ties: bool) -> tuple[np.ndarray, Candidates]:
    rng = np.random.default_rng([seed, size, ties])
    row = rng.normal(0.0, 2.0, size)
    row = (np.round(row) if ties else row).astype(np.float32)
    ids = np.sort(rng.choice(size, int(rng.integers(0, size + 1)), replace=False))
    values = np.round(rng.normal(0.0, 3.0, ids.size)) if ties else rng.normal(0.0, 3.0, ids.size)
    values[rng.random(ids.size) < 0.2] = -np.inf
    return row, Candidates(ids, values)


@pytest.mark.parametrize("size", [1, 2, 50, 3000])
@pytest.mark.parametrize("ties", [False, True])
def test_top_of_row_and_patch_is_top_of_the_edited_row(size: int, ties: bool) -> None:
    for seed in range(40):
        row, patch = row_and_patch(seed, size, ties)
        edited = whole(row, patch, np.arange(size))
        for k in (1, 3, 40):
            expected = edited.at(top_positions(edited.logits, k))
            found = top(row, patch, k)
            assert np.array_equal(found.ids, expected.ids)
            assert np.array_equal(found.logits, expected.logits)


@pytest.mark.parametrize("k", [1, 40, 100])
def test_the_checked_top_is_top_of_a_row_that_passes(k: int) -> None:
    row, patch = row_and_patch(1, 3000, ties=True)
    found, expected = checked_top(row, patch, k, 0), top(row, patch, k)
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.logits, expected.logits)


@pytest.mark.parametrize("k", [1, 40, 100])
def test_the_checked_top_refuses_what_check_values_does(k: int) -> None:
    row, patch = row_and_patch(1, 3000, ties=True)
    row[2999] = np.inf
    with pytest.raises(SamplingError, match="found inf at token 2999, output position 7"):
        checked_top(row, patch, k, 7)


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        (np.zeros(4), r"float64\[4\]"),
        (np.zeros(4, dtype=np.float16), r"float16\[4\]"),
        (np.zeros(5, dtype=np.float32), r"float32\[5\]"),
        (np.zeros((1, 4), dtype=np.float32), r"float32\[1, 4\]"),
        ([0.0] * 4, "list"),
    ],
)
def test_other_types_and_shapes_are_refused(logits: object, found: str) -> None:
    with pytest.raises(SamplingError, match=f"logits: found {found}, expected .*float32"):
        check_shape(logits, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf")])
def test_nan_and_plus_infinity_are_refused_by_token_and_position(value: float, name: str) -> None:
    row = np.zeros(9, dtype=np.float32)
    row[7] = value
    with pytest.raises(SamplingError, match=f"{name} at token 7, output position 3"):
        check_values(row, float(row.max()), 3)
