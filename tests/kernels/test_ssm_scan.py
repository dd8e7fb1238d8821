"""Selective scan: against the sum it stands for, kernel against formula, and steps of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.ssm_scan import SSM_SCAN

# heads, dim, n, groups, numbers of a per head
SHAPES = [(1, 1, 1, 1, 1), (4, 3, 16, 2, 1), (5, 1, 20, 1, 20), (6, 2, 33, 3, 1)]


def numbers(rng: Any, rows: int, shape: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    heads, dim, n, groups, decays = shape
    inputs = [(rows, heads, dim), (rows, heads), (rows, groups, n), (rows, groups, n)]
    weights = [-np.abs(rng.standard_normal((heads, decays))), rng.standard_normal(heads)]
    rounded = [rng.standard_normal(size).astype(np.float32) for size in inputs]
    return rounded, [w.astype(np.float32) for w in weights]


def unrolled(inputs: list[Any], weights: list[Any]) -> np.ndarray:
    """y[t] = d x + sum over i <= t of (c[t] . exp(a (steps i+1..t)) b[i]) step[i] x[i]."""
    x, dt, b, c = (v.astype(np.float64) for v in inputs)
    a, d = (v.astype(np.float64) for v in weights)
    rows, heads, _ = x.shape
    step, y = np.log1p(np.exp(dt)), d[:, None] * x
    for h in range(heads):
        group = h // (heads // b.shape[1])
        for t in range(rows):
            for i in range(t + 1):
                decay = np.exp(a[h] * step[i + 1 : t + 1, h].sum())
                y[t, h] += (c[t, group] * decay * b[i, group]).sum() * step[i, h] * x[i, h]
    return y


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_scan_is_the_sum_of_decayed_inputs(
    shape: tuple[int, ...], compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    inputs, weights = numbers(rng, 6, shape)
    y = make_runner(SSM_SCAN, shape[:3], compiled).step(inputs, weights, shape[:2])
    expected = unrolled(inputs, weights)
    assert np.abs(y - expected).max() < (3e-5 if compiled else 1e-12) * np.abs(expected).max()


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_and_neighbours_change_no_bit(
    compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    shape = (4, 3, 20, 2, 1)
    inputs, weights = numbers(rng, 8, shape)
    whole = make_runner(SSM_SCAN, shape[:3], compiled).step(inputs, weights, shape[:2])
    runner = make_runner(SSM_SCAN, shape[:3], compiled)
    mixed = [np.concatenate([v[:3], v[:2]]) for v in inputs]
    first = runner.step(mixed, weights, shape[:2], [3, 2])
    rest = runner.step([v[3:] for v in inputs], weights, shape[:2])
    assert np.array_equal(np.concatenate([first[:3], rest]), whole)
    assert np.array_equal(first[3:], whole[:2])
