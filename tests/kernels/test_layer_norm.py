"""Layer norm against its twin: widths around the lane count, rows apart, weights or none."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.layer_norm import layer_norm, layer_norm_ref

EPS = 1e-5


def run(x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None) -> np.ndarray:
    out = np.zeros(x.shape, np.float32)
    given = [0 if vector is None else vector for vector in (w, b)]
    layer_norm.run(0, 1, x, *given, out, len(x), x.shape[1], x.strides[0], EPS)
    return out


@pytest.mark.parametrize("dim", [1, 7, 15, 16, 17, 31, 33, 64, 300])
@pytest.mark.parametrize("weighted", [False, True])
def test_kernel_agrees_with_the_twin(dim: int, weighted: bool) -> None:
    rng = np.random.default_rng(dim)
    x = rng.standard_normal((3, dim), dtype=np.float32) + np.float32(2)
    w, b = (rng.standard_normal(dim, dtype=np.float32) if weighted else None for _ in range(2))
    exact = layer_norm_ref(x.astype(np.float64), w, b, EPS)
    # Rounding of the mean is magnified where numbers hardly differ from it, as for one of them.
    assert np.abs(run(x, w, b) - exact).max() <= 2e-4 * max(1, 4 / dim)


def test_rows_may_lie_apart() -> None:
    wide = np.random.default_rng(1).standard_normal((4, 40), dtype=np.float32)
    assert (
        run(wide[:, 3:23], None, None).tobytes() == run(wide[:, 3:23].copy(), None, None).tobytes()
    )


def test_a_row_does_not_depend_on_the_others() -> None:
    x = np.random.default_rng(2).standard_normal((5, 37), dtype=np.float32)
    whole = run(x, None, None)
    assert all(run(x[i : i + 1], None, None).tobytes() == whole[i].tobytes() for i in range(5))


def test_the_result_has_mean_0_and_variance_1() -> None:
    x = np.random.default_rng(3).standard_normal((2, 512), dtype=np.float32) * 9 + 4
    y = run(x, None, None).astype(np.float64)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(1), 1, atol=1e-5)
