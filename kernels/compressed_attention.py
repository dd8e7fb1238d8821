"""Attention over a window's keys and compressed rows (DeepSeek-AI, V4, 2026); values are the keys.

    scores(j) = q . k[j] / sqrt(dim) for the window's tokens and every whole block of `ratio` tokens
    index(b)  = sum over heads h of w[h] relu(iq[h] . ik[b]);   of more than `top` blocks the best

A block's row lies where the last of its tokens has its key. Twins only: every row by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .kv_pages import PAGE, Region, keys_of, store_key_ref
from .rope import RopeTable, rope_ref
from .simd import at

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def store_rows(region: Region, rows: F64, tables: I64, positions: I64) -> None:
    """rows [rows, dim] at the rows' positions; `tables` are the addresses of their page tables."""
    for row, table, position in zip(rows, tables, positions, strict=True):
        page = int(at(int(table) + 8 * int(position // PAGE), np.int64, 1)[0])
        store_key_ref(page, region, int(position) % PAGE, row[None])


def load_rows(region: Region, table: int, first: int, last: int) -> F64:
    """Rows at positions `first` to `last`: [last + 1 - first, dim]."""
    start = first // PAGE
    pages = at(table, np.int64, last // PAGE + 1)[start:]
    keys = [keys_of(int(page), region)[0].swapaxes(1, 2).reshape(PAGE, -1) for page in pages]
    return np.concatenate(keys)[first - start * PAGE : last + 1 - start * PAGE].astype(np.float64)


def attend_ref(q: F64, own: F64, made: F64, sinks: F64, scale: float) -> F64:
    """q [heads, dim], own and made [keys, dim], sinks [heads] -> [heads, dim]."""
    keys = np.concatenate([own, made])
    scores = np.einsum("hd,kd->hk", q, keys) * scale
    top = np.maximum(scores.max(axis=1), sinks)[:, None]
    p = np.exp(scores - top)
    total = p.sum(axis=1, keepdims=True) + np.exp(sinks[:, None] - top)
    return np.einsum("hk,kd->hd", p / total, keys)


def best_blocks(iq: F64, weights: F64, ik: F64, top: int) -> I64:
    """iq [heads, dim], weights [heads], ik [blocks, dim] -> the blocks to use, in order."""
    if len(ik) <= top:
        return np.arange(len(ik))
    score = np.einsum("hb,h->b", np.maximum(np.einsum("hd,bd->hb", iq, ik), 0), weights)
    return np.sort(np.argsort(-score, kind="stable")[:top])


def turn_last(x: F64, table: RopeTable, positions: I64, dim: int, back: bool = False) -> F64:
    """The last `dim` numbers of x [rows, heads, n], in neighbouring pairs, turned or back."""
    cos, sin = np.empty((2, len(x), dim // 2))
    table.look_up(positions, cos, sin)
    plain = x.shape[-1] - dim
    turned = rope_ref(x[..., plain:], cos, -sin if back else sin, False)
    return np.concatenate([x[..., :plain], turned], axis=-1)
