"""Attention over a window and compressed rows: softmax with sinks, the choice of blocks, pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels.compressed_attention import (
    attend_ref,
    best_blocks,
    load_rows,
    store_rows,
    turn_last,
)
from gnomon.kernels.kv_pages import PAGE, region_after
from gnomon.kernels.pool import aligned
from gnomon.kernels.rope import RopeTable


def test_values_are_the_keys_and_sinks_take_their_share(rng: Any) -> None:
    q, own, made = (rng.standard_normal((n, 6)) for n in (2, 3, 2))
    sinks, keys = np.array([0.5, -1.0]), np.concatenate([own, made])
    p = np.exp(q @ keys.T * 0.4)
    expected = p @ keys / (p.sum(axis=1) + np.exp(sinks))[:, None]
    assert np.allclose(attend_ref(q, own, made, sinks, 0.4), expected, atol=1e-12)


def test_large_scores_do_not_overflow() -> None:
    q = np.full((1, 4), 1e3)
    own = np.array([[1e3] * 4, [-1e3] * 4])
    assert np.array_equal(attend_ref(q, own, own[:0], np.zeros(1), 1.0), own[:1])


def test_the_blocks_with_the_best_scores_are_used_in_order(rng: Any) -> None:
    iq, ik, weights = rng.standard_normal((3, 4)), rng.standard_normal((9, 4)), np.ones(3)
    scores = np.maximum(iq @ ik.T, 0).sum(axis=0)
    assert best_blocks(iq, weights, ik, 4).tolist() == sorted(np.argsort(-scores)[:4].tolist())


def test_all_blocks_are_used_while_they_are_few(rng: Any) -> None:
    iq, ik = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    assert best_blocks(iq, np.ones(3), ik, 2).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_rows_come_back_from_pages(kind: str, rng: Any) -> None:
    region = region_after(64, 1, (5, 0), (kind, kind))
    pages = [aligned(region.end) for _ in range(2)]
    table = np.array([page.ctypes.data for page in pages])
    rows = rng.standard_normal((PAGE + 3, 5)).astype(np.float32)
    addresses = np.full(len(rows), table.ctypes.data)
    store_rows(region, rows, addresses, np.arange(len(rows)))
    found = load_rows(region, table.ctypes.data, PAGE - 2, PAGE + 2)
    assert np.array_equal(found, rows[PAGE - 2 :])


def test_the_last_numbers_turn_and_turn_back(rng: Any) -> None:
    x, table = rng.standard_normal((3, 2, 10)), RopeTable(10000.0, 4, 1.0, np.float64)
    positions = np.array([0, 5, 1000])
    turned = turn_last(x, table, positions, 4)
    assert np.array_equal(turned[..., :6], x[..., :6])
    assert np.array_equal(turned[0], x[0])
    assert not np.allclose(turned[1], x[1])
    assert np.allclose(turn_last(turned, table, positions, 4, back=True), x, atol=1e-12)
