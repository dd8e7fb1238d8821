"""Number-by-number kernels against their twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels import elementwise
from gnomon.kernels.elementwise import ACTIVATIONS, GATES, soft_cap_ref
from gnomon.kernels.tape import Kernel

LIMIT = 2.5  # where gates that clip do
SIZES = [(1, 1), (2, 15), (3, 16), (7, 33)]


def run(op: Kernel, x: np.ndarray, y: np.ndarray, number: float = 0.0) -> np.ndarray:
    out = np.empty(x.shape, np.float32)
    stride = 0 if y.ndim == 1 else y.strides[0]
    op.run(0, 1, x, y, out, len(x), x.shape[1], x.strides[0], stride, number)
    return out


@pytest.fixture(params=SIZES, ids=str)
def pair(request: pytest.FixtureRequest, rng: np.random.Generator) -> tuple[Any, Any]:
    return tuple(rng.standard_normal(request.param, dtype=np.float32) * 4 for _ in range(2))


def test_add_is_numpys(pair: Any) -> None:
    x, y = pair
    assert np.array_equal(run(elementwise.add, x, y), x + y)


def test_multiply_is_numpys(pair: Any) -> None:
    x, y = pair
    assert np.array_equal(run(elementwise.multiply, x, y), x * y)


def test_one_row_serves_all(pair: Any) -> None:
    x, y = pair
    assert np.array_equal(run(elementwise.add, x, y[0]), x + y[0])


def test_scale_is_numpys(pair: Any) -> None:
    x, _ = pair
    assert np.array_equal(run(elementwise.scale, x, x, 0.3), x * np.float32(0.3))


@pytest.mark.parametrize("kind", GATES)
def test_gates_agree_with_their_twins(kind: str, pair: Any) -> None:
    x, y = (v.astype(np.float64) for v in pair)
    exact = GATES[kind][0](x, y, LIMIT)
    exponent = np.abs(1.6 * x * (1 + 0.0447 * x * x)) if "gelu" in kind else 1.702 * np.abs(x)
    # Seven roundings reach the exponent (x^2, x^3, fma, product, three constants) and count as
    # often as it is large; exp is within 2 units; six more.
    bound = (7 * exponent + 10) * 2**-24 * np.abs(exact)
    bound += np.abs(x * y) * np.exp(-88.3)  # where exp stops growing
    # The error of erf is absolute.
    bound += 2e-6 * np.abs(x * y) if kind == "gelu_erf" else 0
    assert (np.abs(run(GATES[kind][1], *pair, LIMIT) - exact) <= bound).all()


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_agree_with_their_gates(kind: str, pair: Any) -> None:
    x, _ = pair
    alone = run(ACTIVATIONS[kind][1], x, x)
    assert np.array_equal(alone, run(GATES[kind][1], x, np.ones_like(x)))


def test_clip_is_numpys(pair: Any) -> None:
    x, _ = pair
    assert np.array_equal(run(elementwise.clip, x, x, LIMIT), np.clip(x, -LIMIT, LIMIT))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 16), (16, 5), (33, 40)])
def test_join_puts_columns_side_by_side(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    x, y = (rng.standard_normal((3, width + 2), dtype=np.float32)[:, 1:-1] for width in (n, m))
    out = np.zeros((3, n + m), np.float32)
    elementwise.join.run(0, 1, x, y, out, 3, n, m, x.strides[0], y.strides[0])
    assert np.array_equal(out, np.concatenate([x, y], axis=1))


def test_soft_cap_agrees_with_its_twin(pair: Any) -> None:
    x, _ = pair
    exact = soft_cap_ref(x.astype(np.float64) * 10, 30.0)
    assert np.abs(run(elementwise.soft_cap, x * 10, x, 30.0) - exact).max() <= 30 * 6 * 2**-24


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("x", [-1e4, 1e4, -np.inf])
def test_gates_do_not_overflow(kind: str, x: float) -> None:
    column = np.full((1, 16), x, np.float32)
    found = run(GATES[kind][1], column, np.ones_like(column))
    assert np.isfinite(found).all() or not np.isfinite(x)
