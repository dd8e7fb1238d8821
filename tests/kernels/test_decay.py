"""Decay of delta rules: kernel against formula, and its range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels.decay import decay, decay_ref


def run(x: np.ndarray, dt: np.ndarray, a: np.ndarray, bound: float, sign: float) -> np.ndarray:
    n = x.shape[1] // len(a)
    out = np.zeros((len(x), len(a), n), np.float32)
    decay.run(0, 1, x, dt, a, out, len(x), len(a), n, x.strides[0], bound, sign)
    return out


@pytest.mark.parametrize(("bound", "sign"), [(0.0, 1.0), (-5.0, 1.0), (-5.0, -1.0)])
@pytest.mark.parametrize(("heads", "n"), [(1, 1), (3, 1), (2, 17)])
def test_the_kernel_agrees_with_the_formula(
    heads: int, n: int, bound: float, sign: float, rng: Any
) -> None:
    x = (rng.standard_normal((4, heads * n)) * 6).astype(np.float32)
    dt = rng.standard_normal(heads * n).astype(np.float32)
    a = -np.abs(rng.standard_normal(heads)).astype(np.float32)
    exact = decay_ref(*(v.astype(np.float64) for v in (x, dt, a)), bound, sign)
    assert np.abs(run(x, dt, a, bound, sign) - exact).max() < 3e-6


def test_it_lies_between_the_bound_and_one() -> None:
    x = np.linspace(-200, 200, 41, dtype=np.float32).reshape(-1, 1)
    zero, a = np.zeros(1, np.float32), np.full(1, -2.0, np.float32)
    assert ((run(x, zero, a, 0.0, 1.0) >= 0) & (run(x, zero, a, 0.0, 1.0) <= 1)).all()
    bounded = run(x, zero, a, -5.0, 1.0)
    assert ((bounded >= np.float32(np.exp(-5)) * (1 - 1e-6)) & (bounded <= 1)).all()
