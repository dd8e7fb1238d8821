"""Lightning attention: against masked attention with decaying scores, and steps of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.lightning import LIGHTNING


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("heads", "dim"), [(1, 1), (2, 16), (3, 20)])
def test_it_is_attention_with_scores_that_decay(
    heads: int, dim: int, compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    qkv = [rng.standard_normal((7, heads, dim)).astype(np.float32) for _ in range(3)]
    slopes = np.linspace(0.1, 0.9, heads)
    y = make_runner(LIGHTNING, (heads, dim, dim), compiled).step(qkv, [slopes], (heads, dim))
    q, k, v = (x.astype(np.float64) for x in qkv)
    back = np.arange(7)[:, None] - np.arange(7)
    decay = np.where(back >= 0, np.exp(-slopes[:, None, None] * back), 0)
    expected = np.einsum("hts,hsd->thd", np.einsum("thd,shd->hts", q, k) * decay, v.swapaxes(0, 1))
    assert np.abs(y - expected).max() < (1e-5 if compiled else 1e-12) * np.abs(expected).max()


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_and_neighbours_change_no_bit(
    compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    qkv = [rng.standard_normal((8, 2, 20)).astype(np.float32) for _ in range(3)]
    slopes = np.array([0.2, 0.5])
    whole = make_runner(LIGHTNING, (2, 20, 20), compiled).step(qkv, [slopes], (2, 20))
    runner = make_runner(LIGHTNING, (2, 20, 20), compiled)
    mixed = [np.concatenate([v[:3], v[:2]]) for v in qkv]
    first = runner.step(mixed, [slopes], (2, 20), [3, 2])
    rest = runner.step([v[3:] for v in qkv], [slopes], (2, 20))
    assert np.array_equal(np.concatenate([first[:3], rest]), whole)
    assert np.array_equal(first[3:], whole[:2])
