"""Causal convolution: against NumPy's own, kernel against formula, and steps of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.conv1d import CONV1D, CONV1D_SILU


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("channels", "taps"), [(1, 2), (16, 4), (33, 3)])
def test_every_channel_is_convolved_by_itself(
    channels: int, taps: int, compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    x, w = rng.standard_normal((9, channels)), rng.standard_normal((taps, channels))
    x, w = x.astype(np.float32), w.astype(np.float32)
    bias = rng.standard_normal(channels).astype(np.float32)
    y = make_runner(CONV1D, (taps - 1, channels), compiled).step([x], [w, bias], (channels,))
    for c in range(channels):
        expected = np.convolve(x[:, c].astype(np.float64), w[::-1, c])[:9] + bias[c]
        assert np.abs(y[:, c] - expected).max() < 1e-5


@pytest.mark.parametrize("compiled", [False, True])
def test_silu_follows_the_sum(compiled: bool, make_runner: Callable[..., Any], rng: Any) -> None:
    x, w = rng.standard_normal((5, 20)), rng.standard_normal((4, 20))
    plain = make_runner(CONV1D, (3, 20), compiled).step([x], [w, None], (20,))
    y = make_runner(CONV1D_SILU, (3, 20), compiled).step([x], [w, None], (20,))
    assert np.abs(y - plain / (1 + np.exp(-plain))).max() < 1e-6


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_and_neighbours_change_no_bit(
    compiled: bool, make_runner: Callable[..., Any], rng: Any
) -> None:
    x, w = rng.standard_normal((8, 40)), rng.standard_normal((4, 40))
    whole = make_runner(CONV1D_SILU, (3, 40), compiled).step([x], [w, None], (40,))
    runner = make_runner(CONV1D_SILU, (3, 40), compiled)
    first = runner.step([np.concatenate([x[:3], x[:2]])], [w, None], (40,), [3, 2])
    rest = runner.step([x[3:]], [w, None], (40,))
    assert np.array_equal(np.concatenate([first[:3], rest]), whole)
    assert np.array_equal(first[3:], whole[:2])
