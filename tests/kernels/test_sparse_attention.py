"""The indexer's choice of keys against plain loops; over all keys, dense attention's twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gnomon.kernels.attention import Shape, attention_ref
from gnomon.kernels.kv_pages import PAGE, region_after, store_kv_ref
from gnomon.kernels.pool import aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.sparse_attention import (
    Choice,
    Indexer,
    choose,
    index_region,
    sparse_attention_ref,
)

LENGTH, HEADS, KV_HEADS, DIM = 150, 4, 2, 8
INDEX_HEADS, INDEX_DIM = 2, 6


class Cache:
    """One sequence of LENGTH positions, fed whole."""

    def __init__(self, first: int = 0) -> None:
        region = region_after(0, KV_HEADS, (DIM, DIM), ("f64", "f64"))
        index = region_after(region.end, 1, (INDEX_DIM, 0), ("f64", "f64"))
        self.region = replace(region, index=index)
        self.pages = [aligned(self.region.end) for _ in range(-(-LENGTH // PAGE))]
        self.table = np.array([page.ctypes.data for page in self.pages], np.int64)
        self.positions = np.arange(LENGTH)
        rows = np.stack(
            [np.full(LENGTH, self.table.ctypes.data), np.full(LENGTH, first), self.positions],
            axis=1,
        )
        rows[:, 1] = np.minimum(rows[:, 1], self.positions)
        self.spans = Spans(rows, [self.table] * LENGTH, LENGTH)
        rng = np.random.default_rng(5)
        self.q = rng.standard_normal((LENGTH, HEADS, DIM))
        self.key, self.value = (rng.standard_normal((LENGTH, KV_HEADS, DIM)) for _ in range(2))
        self.iq = rng.standard_normal((LENGTH, INDEX_HEADS, INDEX_DIM))
        self.ik = rng.standard_normal((LENGTH, INDEX_DIM))
        self.iw = rng.standard_normal((LENGTH, INDEX_HEADS))
        store_kv_ref(self.key, self.value, self.spans.tables, self.positions, self.region)

    def choice(self, indexer: Indexer) -> Choice:
        made = Choice()
        choose(indexer, self.positions, self.spans, index_region(self.region), made)
        return made


def test_the_best_keys_are_chosen() -> None:
    cache = Cache()
    choice = cache.choice(Indexer(cache.iq, cache.ik, cache.iw, top=9))
    for row in (0, 5, 8, 9, 70, 127, 128, 149):
        scores = [
            sum(
                cache.iw[row, h] * max(0.0, float(cache.iq[row, h] @ cache.ik[j]))
                for h in range(INDEX_HEADS)
            )
            for j in range(row + 1)
        ]
        best = sorted(range(row + 1), key=lambda j: (-scores[j], j))[:9]
        assert np.flatnonzero(choice.masks[row][0]).tolist() == sorted(best)


def test_the_best_blocks_are_chosen_for_each_key_head_and_the_nearest_always() -> None:
    cache = Cache()
    choice = cache.choice(Indexer(cache.iq, cache.ik, None, top=3, block=4, near=1))
    for row in (0, 3, 11, 12, 70, 128, 149):
        for head in range(INDEX_HEADS):
            scores = cache.ik[: row + 1] @ cache.iq[row, head]
            best = {b: max(scores[4 * b : 4 * b + 4]) for b in range(row // 4 + 1)}
            best[row // 4] = np.inf
            used = sorted(best, key=lambda b: -best[b])[:3]
            wanted = [j for j in range(row + 1) if j // 4 in used]
            assert np.flatnonzero(choice.masks[row][head]).tolist() == wanted


@pytest.mark.parametrize("first", [0, 40])
def test_choosing_all_keys_is_dense_attention(first: int) -> None:
    cache = Cache(first)
    choice = cache.choice(Indexer(cache.iq, cache.ik, cache.iw, top=10**6))
    sinks = np.array([0.5, -1.0, 2.0, 0.0])
    found = sparse_attention_ref(cache.q, cache.spans, cache.region, 0.3, choice, sinks)
    dense = attention_ref(
        cache.q, cache.spans.tables, cache.spans.rows[:, 1:], cache.region, Shape(HEADS, 0.3), sinks
    )
    np.testing.assert_allclose(found, dense, rtol=1e-12, atol=1e-14)


def test_keys_that_are_not_chosen_do_not_count() -> None:
    cache = Cache()
    choice = cache.choice(Indexer(cache.iq, cache.ik, cache.iw, top=4))
    before = sparse_attention_ref(cache.q, cache.spans, cache.region, 0.3, choice)
    row = 100
    left_out = np.flatnonzero(~choice.masks[row][0])
    cache.value[left_out] += 1e6
    store_kv_ref(cache.key, cache.value, cache.spans.tables, cache.positions, cache.region)
    after = sparse_attention_ref(cache.q, cache.spans, cache.region, 0.3, choice)
    assert after[row].tobytes() == before[row].tobytes()


def test_a_layer_without_an_indexer_has_no_index_keys() -> None:
    with pytest.raises(ValueError, match="no index keys"):
        index_region(region_after(0, 1, (4, 4), ("f32", "f32")))
