"""erfc on lanes against the standard library's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gnomon.kernels import erf
from gnomon.kernels.elementwise import _alone, elementwise, gelu_erf, gelu_erf_ref

X = np.linspace(-9, 9, 40_001).astype(np.float32)


def run(function: Any, name: str, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    kernel = elementwise(f"test_{name}", _alone(function))
    kernel.run(0, 1, x, x, out, 1, len(x), 4 * len(x), 4 * len(x), 0.0)
    return out


def test_erfc_is_near_everywhere() -> None:
    exact = np.array([math.erfc(v) for v in X.astype(np.float64)])
    # exp(-z^2) carries the rounding of z^2, half a unit of it.
    bound = (8 + np.maximum(X, 0) ** 2) * 2**-23 * exact + 1e-37
    assert (np.abs(run(erf.erfc, "erfc", X) - exact) <= bound).all()


def test_erfc_twin_is_the_standard_library_s() -> None:
    assert erf.erfc_ref([0.5, -3.0]).tolist() == [math.erfc(0.5), math.erfc(-3.0)]


def test_gelu_by_erf_is_near_its_twin() -> None:
    exact = gelu_erf_ref(X.astype(np.float64))
    bound = (12 + X.astype(np.float64) ** 2) * 2**-23 * np.abs(exact) + 1e-36
    assert (np.abs(run(gelu_erf, "gelu_erf", X) - exact) <= bound).all()


@pytest.mark.parametrize(("x", "y"), [(np.inf, 0.0), (-np.inf, 2.0), (0.0, 1.0)])
def test_erfc_at_the_ends(x: float, y: float) -> None:
    found = run(erf.erfc, "erfc", np.full(16, x, np.float32))
    assert (found == y).all()
