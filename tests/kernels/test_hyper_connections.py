"""Hyper-connections: reading, writing, Sinkhorn's matrix, and mixtures with what was set aside."""

from __future__ import annotations

from typing import Any

import numpy as np

from gnomon.kernels.hyper_connections import (
    checkpoint_mix_ref,
    comb_ref,
    gated_mean_ref,
    read_ref,
    read_weights_ref,
    write_ref,
    write_weights_ref,
)


def test_reading_sums_the_streams_by_weight(rng: Any) -> None:
    x, pre = rng.standard_normal((3, 2 * 5)), rng.standard_normal((3, 2))
    expected = x[:, :5] * pre[:, :1] + x[:, 5:] * pre[:, 1:]
    assert np.allclose(read_ref(x, pre), expected, atol=1e-14)


def test_writing_adds_to_every_stream(rng: Any) -> None:
    x, y, post = (rng.standard_normal(size) for size in ((3, 10), (3, 5), (3, 2)))
    written = write_ref(x, y, post)
    assert np.allclose(written[:, 5:], x[:, 5:] + post[:, 1:] * y, atol=1e-14)


def test_streams_mix_by_the_matrix(rng: Any) -> None:
    x, comb = rng.standard_normal((1, 10)), rng.standard_normal((1, 2, 2))
    written = write_ref(x, np.zeros((1, 5)), np.zeros((1, 2)), comb)
    expected = comb[0, 0, 1] * x[0, :5] + comb[0, 1, 1] * x[0, 5:]
    assert np.allclose(written[0, 5:], expected, atol=1e-14)


def test_many_rounds_make_the_matrix_doubly_stochastic(rng: Any) -> None:
    logits, scale, base = rng.standard_normal((2, 24)), np.ones(3), np.zeros(24)
    comb = comb_ref(logits, scale, base, 4, 0.0, 50)
    assert np.allclose(comb.sum(axis=1), 1, atol=1e-9)
    assert np.allclose(comb.sum(axis=2), 1, atol=1e-9)


def test_weights_are_sigmoids_of_their_part_of_the_logits() -> None:
    logits, scale = np.array([[0.0, 0.0, 1.0, -1.0]]), np.array([1.0, 2.0])
    base = np.array([0.0, 3.0, 0.0, 0.0])
    pre = read_weights_ref(logits, scale, base, 2, 0.25)
    post = write_weights_ref(logits, scale, base, 2, 2.0, 0.0)
    assert np.allclose(pre, [[0.75, 1 / (1 + np.exp(-3)) + 0.25]])
    assert np.allclose(post, [[2 / (1 + np.exp(-2)), 2 / (1 + np.exp(2))]])


def test_an_open_gate_leaves_the_mean(rng: Any) -> None:
    x = rng.standard_normal((2, 9))
    mean = gated_mean_ref(x, np.full((2, 9), 100.0), 3)
    assert np.allclose(mean, x.reshape(2, 3, 3).mean(axis=1), atol=1e-12)


def test_rows_that_score_alike_are_averaged(rng: Any) -> None:
    kept, x = rng.standard_normal((1, 2, 4)), rng.standard_normal((1, 4))
    mixed = checkpoint_mix_ref(kept, x, np.zeros(4), 1e-6)
    assert np.allclose(mixed, (kept.sum(axis=1) + x) / 3, atol=1e-12)


def test_the_best_scored_row_wins(rng: Any) -> None:
    kept, x = rng.standard_normal((1, 2, 4)), rng.standard_normal((1, 4))
    mixed = checkpoint_mix_ref(kept, x, x[0] * 1e4, 1e-6)
    assert np.allclose(mixed, x, atol=1e-9)
