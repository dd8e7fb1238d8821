"""Gated delta rule: against its definition by matrices, and steps of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.delta_rule import DELTA_RULE, DELTA_RULE_SIDE_BY_SIDE

EPSILON = 1e-6
# heads, groups, value, key, decays
SHAPES = [(1, 1, 1, 1, 1), (4, 2, 16, 16, 1), (2, 2, 12, 20, 20)]


def numbers(rng: Any, rows: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    heads, groups, value, key, decays = shape
    sizes = [(rows, groups, key), (rows, groups, key), (rows, heads, value)]
    arrays = [rng.standard_normal(size) for size in sizes]
    arrays += [rng.uniform(0.5, 1, (rows, heads, decays)), rng.standard_normal((rows, heads))]
    return [x.astype(np.float32) for x in arrays]


def by_matrices(inputs: list[np.ndarray], group_of: Callable[[int], int]) -> np.ndarray:
    """S = S diag(decay) (1 - beta k k^T) + beta v k^T, y = S q / sqrt(key)."""
    q, k, v, decay, b = (x.astype(np.float64) for x in inputs)
    y = np.zeros_like(v)
    for h in range(v.shape[1]):
        s = np.zeros((v.shape[2], q.shape[2]))
        for t in range(len(v)):
            unit_q, unit_k = (x[t, group_of(h)] for x in (q, k))
            unit_q = unit_q / np.sqrt((unit_q @ unit_q + EPSILON) * q.shape[2])
            unit_k = unit_k / np.sqrt(unit_k @ unit_k + EPSILON)
            beta = 1 / (1 + np.exp(-b[t, h]))
            keep = np.eye(len(unit_k)) - beta * np.outer(unit_k, unit_k)
            s = s * decay[t, h] @ keep + beta * np.outer(v[t, h], unit_k)
            y[t, h] = s @ unit_q
    return y


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_state_forgets_and_is_corrected(
    shape: tuple[int, ...], beside: bool, compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    heads, groups, value, key, _ = shape
    inputs = numbers(rng, 6, shape)
    rule = DELTA_RULE_SIDE_BY_SIDE if beside else DELTA_RULE
    y = make_runner(rule, (heads, value, key), compiled).step(inputs, [EPSILON], (heads, value))
    expected = by_matrices(inputs, lambda h: h // (heads // groups) if beside else h % groups)
    assert np.abs(y - expected).max() < 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_and_neighbours_change_no_bit(
    compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    inputs = numbers(rng, 8, (4, 2, 12, 20, 20))
    whole = make_runner(DELTA_RULE, (4, 12, 20), compiled).step(inputs, [EPSILON], (4, 12))
    runner = make_runner(DELTA_RULE, (4, 12, 20), compiled)
    mixed = [np.concatenate([v[:3], v[:2]]) for v in inputs]
    first = runner.step(mixed, [EPSILON], (4, 12), [3, 2])
    rest = runner.step([v[3:] for v in inputs], [EPSILON], (4, 12))
    assert np.array_equal(np.concatenate([first[:3], rest]), whole)
    assert np.array_equal(first[3:], whole[:2])
