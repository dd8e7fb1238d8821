"""RMS norm: kernel against twin over odd sizes, within the bound of its sums."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.rms_norm import rms_norm, rms_norm_ref

EPS = 1e-5


def run(x: np.ndarray, w: np.ndarray | None, parts: int = 1) -> np.ndarray:
    out = np.empty((len(x), x.shape[1]), np.float32)
    weight = 0 if w is None else w
    for part in range(parts):
        rms_norm.run(part, parts, x, weight, out, len(x), x.shape[1], x.strides[0], EPS)
    return out


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
@pytest.mark.parametrize("dim", [1, 15, 16, 17, 33, 576])
def test_the_kernel_agrees_with_the_twin(rows: int, dim: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((rows, dim), dtype=np.float32) * 3
    w = rng.standard_normal(dim, dtype=np.float32)
    exact = rms_norm_ref(x.astype(np.float64), w.astype(np.float64), EPS)
    # dim / 16 + 4 additions, a mean, a root, a quotient and two products round once each.
    bound = (dim / 32 + 8) * 2**-23 * np.abs(exact)
    assert (np.abs(run(x, w) - exact) <= bound).all()


def test_without_a_weight_rows_are_only_scaled(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 40), dtype=np.float32)
    assert np.array_equal(run(x, None), run(x, np.ones(40, np.float32)))


def test_rows_may_lie_apart(rng: np.random.Generator) -> None:
    wide = rng.standard_normal((5, 64), dtype=np.float32)
    assert np.array_equal(run(wide[:, :20], None), run(wide[:, :20].copy(), None))


def test_parts_make_up_the_whole(rng: np.random.Generator) -> None:
    x = rng.standard_normal((7, 50), dtype=np.float32)
    assert np.array_equal(run(x, None, parts=3), run(x, None))


def test_a_row_of_zeros_stays_zero() -> None:
    assert not run(np.zeros((1, 32), np.float32), None).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_hidden(value: float) -> None:
    x = np.ones((1, 32), np.float32)
    x[0, 3] = value
    assert np.isnan(run(x, None)[0, 3])
