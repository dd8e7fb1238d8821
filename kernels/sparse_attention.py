"""Sparse attention: a small attention, the indexer, chooses the keys that the large one uses.

    keys:    score(j) = sum over heads h of w[h] relu(iq[h] . ik[j]);  the best `top` are used
    blocks:  score(h, b) = max over j in b of iq[h] . ik[j];  key head h uses its best `top` blocks,
             the nearest always

Twins only: plain NumPy, row by row, so that a row's result depends on its own keys alone
(DeepSeek-AI, V3.2, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kv_pages import PAGE, Region, keys_of, store_key_ref, values_of
from .simd import at
from .spans import Spans

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass
class Choice:
    """Which keys each row uses: a mask [key heads or 1, keys] per row, filled when a step runs."""

    masks: list[Mask] = field(default_factory=list)


@dataclass(frozen=True)
class Indexer:
    """The chooser's queries [rows, heads, dim], keys [rows, dim] and weights [rows, heads] or None.

    `block` and `near` are the size of a block and how many of the nearest are always used.
    """

    q: Any
    key: Any
    weights: Any
    top: int
    block: int = 1
    near: int = 0
    # So many neighbours share a key, which lies at the last of them; `top` counts single keys.
    pool: int = 0


def index_region(region: Region) -> Region:
    """Where a layer's index keys lie. Raises ValueError if it has none."""
    if region.index is None:
        raise ValueError("region: found no index keys, expected those of an indexer")
    return region.index


def choose(indexer: Indexer, positions: I64, spans: Spans, region: Region, choice: Choice) -> None:
    """Store the rows' index keys, then choose for every row."""
    for key, position, row in zip(indexer.key, positions, spans.rows, strict=True):
        table = _table(row)
        page = int(table[position // PAGE])
        store_key_ref(page, region, int(position % PAGE), np.asarray(key)[None])
    choice.masks = []
    for row, span in enumerate(spans.rows):
        first, last = int(span[1]), int(span[2])
        keys = _keys(_table(span), first, last, region)[0]
        scores = np.einsum("hd,kd->hk", np.asarray(indexer.q[row], np.float64), keys)
        by_row = _blocks if indexer.weights is None else _positions
        by_row = _pools if indexer.pool else by_row
        choice.masks.append(by_row(indexer, row, scores, first, last))


def _positions(indexer: Indexer, row: int, scores: F64, first: int, last: int) -> Mask:
    weights = np.asarray(indexer.weights[row], np.float64)
    total = np.einsum("hk,h->k", np.maximum(scores, 0), weights)
    return _best(total[None], indexer.top)


def _pools(indexer: Indexer, row: int, scores: F64, first: int, last: int) -> Mask:
    """The best whole pools, and what belongs to none yet."""
    pool, whole = indexer.pool, (last + 1) // indexer.pool
    scores = np.maximum(scores[:, pool - 1 : whole * pool : pool], 0)
    weights = np.ones(len(scores)) if indexer.weights is None else indexer.weights[row]
    total = np.einsum("hk,h->k", scores, np.asarray(weights, np.float64))
    best = _best(total[None], max(1, indexer.top // pool))
    tail = np.ones((1, last + 1 - whole * pool), bool)
    return np.concatenate([np.repeat(best, pool, axis=1), tail], axis=1)


def _blocks(indexer: Indexer, row: int, scores: F64, first: int, last: int) -> Mask:
    blocks = np.arange(first, last + 1) // indexer.block
    starts = np.flatnonzero(np.diff(blocks, prepend=-1))
    best = np.maximum.reduceat(scores, starts, axis=1)
    near = blocks[starts] > last // indexer.block - indexer.near
    mask = _best(np.where(near, np.inf, best), indexer.top)
    return mask[:, blocks - blocks[0]]


def _best(scores: F64, top: int) -> Mask:
    """The `top` largest of each line; of equal ones the first."""
    mask = np.zeros(scores.shape, bool)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    np.put_along_axis(mask, order, True, axis=1)
    return mask


def _table(span: I64) -> I64:
    """A row's page table, as far as it sees; read from the span, as steps are replayed."""
    return at(int(span[0]), np.int64, int(span[2]) // PAGE + 1)


def _keys(table: I64, first: int, last: int, region: Region) -> F64:
    """Keys of positions first..last: [key heads, keys, dim]."""
    pages = range(first // PAGE, last // PAGE + 1)
    found = [keys_of(int(table[p]), region).swapaxes(2, 3) for p in pages]
    keys = np.concatenate([k.reshape(region.kv_heads, PAGE, -1) for k in found], axis=1)
    start = pages[0] * PAGE
    return keys[:, first - start : last + 1 - start].astype(np.float64)


def _values(table: I64, first: int, last: int, region: Region) -> F64:
    pages = range(first // PAGE, last // PAGE + 1)
    values = np.concatenate([values_of(int(table[p]), region) for p in pages], axis=1)
    start = pages[0] * PAGE
    cut = values[:, first - start : last + 1 - start, : region.value_dim]
    return cut.astype(np.float64)


def sparse_attention_ref(
    q: F64, spans: Spans, region: Region, scale: float, choice: Choice, sinks: Any = None
) -> F64:
    """q [rows, heads, key dim] -> [rows, heads, value dim], over chosen keys of those stored."""
    out = np.zeros((len(q), q.shape[1], region.value_dim))
    group = q.shape[1] // region.kv_heads
    for row, span in enumerate(spans.rows):
        table, first, last = _table(span), int(span[1]), int(span[2])
        keys, values = (part(table, first, last, region) for part in (_keys, _values))
        masks = choice.masks[row]
        for head in range(q.shape[1]):
            kv = head // group
            used = np.flatnonzero(masks[min(kv, len(masks) - 1)])
            scores = np.einsum("kd,d->k", keys[kv][used], q[row, head]) * scale
            top = scores.max() if sinks is None else max(scores.max(), sinks[head])
            p = np.exp(scores - top)
            total = p.sum() + (0 if sinks is None else np.exp(sinks[head] - top))
            out[row, head] = np.einsum("k,kd->d", p, values[kv][used]) / total
    return out
