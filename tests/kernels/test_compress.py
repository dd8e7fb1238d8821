"""Compressed rows: softmax over a block's scores, overlapping blocks, and nothing between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.compress import compressor


def run(make_runner: Callable[..., Any], kv: Any, score: Any, ratio: int, halves: int) -> Any:
    width = kv.shape[1]
    runner = make_runner(compressor(ratio), (2, ratio * halves, width), False)
    positions = np.arange(len(kv))[:, None]
    return runner.step([kv, score, positions], [], (width // halves,))


def weighted(kv: Any, score: Any) -> Any:
    p = np.exp(score)
    return (p * kv).sum(axis=0) / p.sum(axis=0)


def test_a_block_is_the_mean_by_the_softmax_of_its_scores(
    make_runner: Callable[..., Any], rng: Any
) -> None:
    kv, score = rng.standard_normal((2, 8, 3))
    rows = run(make_runner, kv, score, 4, 1)
    assert np.allclose(rows[3], weighted(kv[:4], score[:4]), atol=1e-12)
    assert np.allclose(rows[7], weighted(kv[4:], score[4:]), atol=1e-12)


def test_tokens_within_a_block_give_zeros(make_runner: Callable[..., Any], rng: Any) -> None:
    kv, score = rng.standard_normal((2, 9, 3))
    assert not run(make_runner, kv, score, 4, 1)[[0, 1, 2, 4, 5, 6, 8]].any()


def test_an_overlapping_row_takes_half_of_the_block_before(
    make_runner: Callable[..., Any], rng: Any
) -> None:
    kv, score = rng.standard_normal((2, 8, 6))
    rows = run(make_runner, kv, score, 4, 2)
    both = [np.concatenate([x[:4, :3], x[4:, 3:]]) for x in (kv, score)]
    assert np.allclose(rows[7], weighted(*both), atol=1e-12)


def test_the_first_overlapping_row_has_only_its_own_block(
    make_runner: Callable[..., Any], rng: Any
) -> None:
    kv, score = rng.standard_normal((2, 4, 6))
    rows = run(make_runner, kv, score, 4, 2)
    assert np.allclose(rows[3], weighted(kv[:, 3:], score[:, 3:]), atol=1e-12)


@pytest.mark.parametrize("cut", [1, 3, 4, 5])
def test_how_rows_are_cut_into_steps_changes_no_bit(
    cut: int, make_runner: Callable[..., Any], rng: Any
) -> None:
    kv, score = rng.standard_normal((2, 8, 6))
    runner = make_runner(compressor(4), (2, 8, 6), False)
    places = np.arange(8)[:, None]
    parts = [
        runner.step([kv[part], score[part], places[part]], [], (3,))
        for part in (slice(0, cut), slice(cut, 8))
    ]
    assert np.array_equal(np.concatenate(parts), run(make_runner, kv, score, 4, 2))
