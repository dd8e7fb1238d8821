"""RWKV's recurrences, per head a matrix S of what was seen, and the shift by one token.

RWKV 6     y = r (diag(u) k v^T + S),     S' = diag(w) S + k v^T        (Peng et al., 2024)
RWKV 7     S' = S diag(w) + v k^T + (S a) b^T,     y = S' r             (Peng et al., 2025)
gated      S' = diag(w) S + k v^T,     y = r S'                         (Yang et al., GLA, 2024)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .recurrence import Recurrence

F64 = NDArray[np.float64]


def shift_ref(state: F64, x: F64) -> tuple[F64, F64]:
    """The row before this one."""
    return state.copy(), x


def wkv6_ref(state: F64, r: F64, k: F64, v: F64, w: F64, u: F64) -> tuple[F64, F64]:
    """All [heads, n], state [heads, n, n] by key and value."""
    seen = k[:, :, None] * v[:, None, :]
    y = np.einsum("hi,hij->hj", r, u[:, :, None] * seen + state)
    return y, w[:, :, None] * state + seen


def wkv7_ref(state: F64, r: F64, k: F64, v: F64, w: F64, a: F64, b: F64) -> tuple[F64, F64]:
    """All [heads, n], state [heads, n, n] by value and key."""
    removed = np.einsum("hij,hj->hi", state, a)
    state = state * w[:, None, :] + v[:, :, None] * k[:, None, :]
    state = state + removed[:, :, None] * b[:, None, :]
    return np.einsum("hij,hj->hi", state, r), state


def gated_ref(state: F64, r: F64, k: F64, v: F64, w: F64) -> tuple[F64, F64]:
    """All [heads, n], state [heads, n, n] by key and value."""
    state = w[:, :, None] * state + k[:, :, None] * v[:, None, :]
    return np.einsum("hi,hij->hj", r, state), state


SHIFT = Recurrence(shift_ref)
WKV6 = Recurrence(wkv6_ref)
WKV7 = Recurrence(wkv7_ref)
GATED = Recurrence(gated_ref)
