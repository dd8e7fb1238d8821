"""Hyper-connections (Zhu et al., 2024): n residual streams; a block reads a mix, adds to each.

    read    h = sum over i of pre[i] x[i]
    write   x'[j] = post[j] y + sum over i of comb[i, j] x[i]             comb absent: x[j]

The coefficients come from a row of logits, pre and post through a sigmoid. comb is made nearly
doubly stochastic (Sinkhorn and Knopp, 1967): rows through a softmax, then columns and rows divided
by their sums in turn. Twins only: every row by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def sigmoid_ref(x: F64) -> F64:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def read_weights_ref(logits: F64, scale: F64, base: F64, n: int, epsilon: float) -> F64:
    """pre [rows, n] from the first n logits: sigmoid(scale[0] x + base) + epsilon."""
    return sigmoid_ref(logits[:, :n] * scale[0] + base[:n]) + epsilon


def write_weights_ref(
    logits: F64, scale: F64, base: F64, n: int, magnitude: float, epsilon: float
) -> F64:
    """post [rows, n] from the next n logits: magnitude sigmoid(scale[1] x + base) + epsilon."""
    part = slice(n, 2 * n)
    return magnitude * sigmoid_ref(logits[:, part] * scale[1] + base[part]) + epsilon


def comb_ref(logits: F64, scale: F64, base: F64, n: int, epsilon: float, rounds: int) -> F64:
    """comb [rows, from, to] from the last n * n logits."""
    comb = (logits[:, 2 * n :] * scale[2] + base[2 * n :]).reshape(-1, n, n)
    comb = np.exp(comb - comb.max(axis=2, keepdims=True))
    comb = comb / comb.sum(axis=2, keepdims=True) + epsilon
    comb = comb / (comb.sum(axis=1, keepdims=True) + epsilon)
    for _ in range(rounds - 1):
        comb = comb / (comb.sum(axis=2, keepdims=True) + epsilon)
        comb = comb / (comb.sum(axis=1, keepdims=True) + epsilon)
    return comb


def read_ref(x: F64, pre: F64) -> F64:
    """x [rows, n * dim], pre [rows, n] -> [rows, dim]."""
    streams = x.reshape(*pre.shape, -1)
    return (streams * pre[:, :, None]).sum(axis=1)


def write_ref(x: F64, y: F64, post: F64, comb: F64 | None = None) -> F64:
    """x [rows, n * dim], y [rows, dim], post [rows, n], comb [rows, n, n] -> [rows, n * dim]."""
    streams = x.reshape(*post.shape, -1)
    if comb is not None:
        streams = (comb[:, :, :, None] * streams[:, :, None]).sum(axis=1)
    return (streams + post[:, :, None] * y[:, None]).reshape(x.shape)


def gated_mean_ref(x: F64, gate: F64, n: int) -> F64:
    """The mean over n streams of x sigmoid(gate): [rows, n * dim] -> [rows, dim]."""
    return (x * sigmoid_ref(gate)).reshape(len(x), n, -1).sum(axis=1) / n


def checkpoint_mix_ref(kept: F64, x: F64, score: F64, epsilon: float) -> F64:
    """Softmax over kept [rows, n, dim] and x [rows, dim] of unit(row) . score, times the rows."""
    rows = np.concatenate([kept, x[:, None]], axis=1)
    unit = rows / np.sqrt(np.mean(rows * rows, axis=2, keepdims=True) + epsilon)
    logits = np.einsum("rnd,d->rn", unit, score)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    return (rows * p[:, :, None]).sum(axis=1)
