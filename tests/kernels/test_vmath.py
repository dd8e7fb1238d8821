"""exp, sigmoid and tanh on lanes against float64, in units of the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels import vmath
from gnomon.kernels._jit import Inline, jit
from gnomon.kernels.simd import load_f32x16, store_f32x16


def apply(function: Any, x: np.ndarray) -> np.ndarray:
    """The compiled function over all lanes of x, filled up to 16."""

    @jit
    def loop(source, to, vectors):
        for i in range(vectors):
            store_f32x16(to + 64 * i, function(load_f32x16(source + 64 * i)))

    loop.py_func.__qualname__ = f"test_{function.dispatcher.__name__}"
    filled = np.zeros(-(-len(x) // 16) * 16, np.float32)
    filled[: len(x)] = x
    out = np.empty_like(filled)
    loop(filled.ctypes.data, out.ctypes.data, len(filled) // 16)
    return out[: len(x)]


def ulps(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32))))


X = np.concatenate([np.linspace(-87, 88, 200_001), np.linspace(-2, 2, 100_001)]).astype(np.float32)


def test_exp_is_within_two_units() -> None:
    assert ulps(apply(vmath.exp, X), np.exp(X.astype(np.float64))) <= 2


def test_tanh_is_within_three_units() -> None:
    x = X[np.abs(X) > 1e-3]
    assert ulps(apply(vmath.tanh, x), np.tanh(x.astype(np.float64))) <= 3


def test_sigmoid_is_within_four_units() -> None:
    x = X[X > -80]
    assert ulps(apply(vmath.sigmoid, x), 1 / (1 + np.exp(-x.astype(np.float64)))) <= 4


def test_softplus_is_within_four_units() -> None:
    assert ulps(apply(vmath.softplus, X), np.logaddexp(0, X.astype(np.float64))) <= 4


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("softplus", -1000.0, 0.0),
        ("softplus", 1000.0, 1000.0),
        ("exp", -np.inf, 0.0),
        ("exp", -1000.0, 0.0),
        ("exp", 0.0, 1.0),
        ("tanh", np.inf, 1.0),
        ("tanh", -np.inf, -1.0),
        ("sigmoid", np.inf, 1.0),
        ("sigmoid", -np.inf, 0.0),
    ],
)
def test_ends_are_exact(name: str, x: float, y: float) -> None:
    found = apply(getattr(vmath, name), np.array([x], np.float32))[0]
    assert found == pytest.approx(y, abs=1e-37)


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "softplus"])
def test_not_a_number_stays_so(name: str) -> None:
    assert np.isnan(apply(getattr(vmath, name), np.array([np.nan], np.float32))[0])


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "softplus"])
def test_plain_python_gives_the_same_bits(name: str) -> None:
    function = getattr(vmath, name)
    x = X[:: len(X) // 64][:64]
    with np.errstate(all="ignore"):
        plain = [_plain(function, x[i : i + 16]) for i in range(0, 64, 16)]
    assert np.concatenate(plain).tobytes() == apply(function, x).tobytes()


def _plain(function: Any, x: np.ndarray) -> np.ndarray:
    """The function's Python body, its helpers' bodies too."""
    from unittest.mock import patch

    helpers = {n: f.dispatcher.py_func for n, f in vars(vmath).items() if isinstance(f, Inline)}
    with patch.multiple(vmath, **helpers):
        return np.asarray(function.dispatcher.py_func(x))
