"""Compressed keys (DeepSeek-AI, V4, 2026): `ratio` tokens become one row, by their scores.

    row = sum over the block's tokens t of softmax(score)[t] kv[t], per channel

Overlapping: kv and score have two halves; a row takes the second half of its own block's tokens and
the first half of the tokens of the block before. A row is made at the last token of its block;
other tokens give zeros.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from .recurrence import Recurrence

F64 = NDArray[np.float64]


def compress_ref(state: F64, kv: F64, score: F64, position: F64, ratio: int) -> tuple[F64, F64]:
    """state [2, tokens, width]: kv and score, oldest first; kv, score [width] -> row, state."""
    state = np.concatenate([state[:, 1:], np.stack([kv, score])[:, None]], axis=1)
    window, width = state.shape[1:]
    halves = window // ratio
    if (int(position[0]) + 1) % ratio:
        return np.zeros(width // halves), state
    seen = np.arange(window) >= window - 1 - int(position[0])
    values, scores = (_blocks(x, ratio, halves) for x in state)
    scores = np.where(seen[:, None], scores, -np.inf)
    p = np.exp(scores - scores.max(axis=0))
    return (p * values).sum(axis=0) / p.sum(axis=0), state


def _blocks(x: F64, ratio: int, halves: int) -> F64:
    """The half of each token's numbers that a row takes: [window, width / halves]."""
    if halves == 1:
        return x
    half = x.shape[1] // 2
    return np.concatenate([x[:ratio, :half], x[ratio:, half:]])


def compressor(ratio: int) -> Recurrence:
    """The recurrence for one ratio."""
    return Recurrence(partial(compress_ref, ratio=ratio))
