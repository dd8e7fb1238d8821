"""RWKV's recurrences in plain loops, as their papers write them."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.wkv import gated_ref, shift_ref, wkv6_ref, wkv7_ref

HEADS, N = 2, 5


@pytest.fixture
def inputs(rng: np.random.Generator) -> list[np.ndarray]:
    """A state and six rows."""
    return [rng.standard_normal((HEADS, N, N)), *rng.standard_normal((6, HEADS, N))]


def test_shift_gives_the_row_before() -> None:
    y, state = shift_ref(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert (y.tolist(), state.tolist()) == ([1, 2], [3, 4])


def test_wkv6_is_the_formula(inputs: list[np.ndarray]) -> None:
    s, r, k, v, w, u, _ = inputs
    y, after = wkv6_ref(s, r, k, v, w, u)
    for h in range(HEADS):
        seen = np.outer(k[h], v[h])
        assert np.allclose(y[h], r[h] @ (np.diag(u[h]) @ seen + s[h]), rtol=1e-13)
        assert np.allclose(after[h], np.diag(w[h]) @ s[h] + seen, rtol=1e-13)


def test_wkv7_is_the_formula(inputs: list[np.ndarray]) -> None:
    s, r, k, v, w, a, b = inputs
    y, after = wkv7_ref(s, r, k, v, w, a, b)
    for h in range(HEADS):
        expected = s[h] @ np.diag(w[h]) + np.outer(v[h], k[h]) + np.outer(s[h] @ a[h], b[h])
        assert np.allclose(after[h], expected, rtol=1e-12)
        assert np.allclose(y[h], expected @ r[h], rtol=1e-12)


def test_gated_is_the_formula(inputs: list[np.ndarray]) -> None:
    s, r, k, v, w, _, _ = inputs
    y, after = gated_ref(s, r, k, v, w)
    for h in range(HEADS):
        expected = np.diag(w[h]) @ s[h] + np.outer(k[h], v[h])
        assert np.allclose(after[h], expected, rtol=1e-13)
        assert np.allclose(y[h], r[h] @ expected, rtol=1e-12)


@pytest.mark.parametrize("formula", [wkv6_ref, wkv7_ref, gated_ref])
def test_the_old_state_is_left_as_it_was(formula: object, inputs: list[np.ndarray]) -> None:
    before = inputs[0].copy()
    count = {"wkv6_ref": 6, "wkv7_ref": 7, "gated_ref": 5}[formula.__name__]  # type: ignore[attr-defined]
    formula(*inputs[:count])  # type: ignore[operator]
    assert np.array_equal(inputs[0], before)
