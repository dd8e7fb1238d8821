"""Causal convolution, each channel by itself: y[t] = sum over i of w[i] x[t - taps + 1 + i] + b.

The state holds the last taps - 1 inputs, oldest first; before the first token they are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementwise import silu, silu_ref
from .recurrence import Recurrence, State, held, row_bytes, shares
from .simd import fma, load_first, load_i64, splat, store_first
from .tape import Kernel, Tape

F64 = NDArray[np.float64]


def conv1d_ref(past: F64, x: F64, w: F64, bias: F64 | None = None) -> tuple[F64, F64]:
    """past [taps - 1, channels], x, bias [channels], w [taps, channels] -> y [channels], past."""
    window = np.concatenate([past, x[None]])
    y = (window * w).sum(axis=0)
    return (y if bias is None else y + bias), window[1:]


def conv1d_silu_ref(past: F64, x: F64, w: F64, bias: F64 | None = None) -> tuple[F64, F64]:
    """The same, then y / (1 + exp(-y))."""
    y, past = conv1d_ref(past, x, w, bias)
    return silu_ref(y), past


def _conv1d(name: str, activated: bool) -> Kernel:
    def body(part, parts, thread, x, w, bias, states, out, rows, channels, taps, stride, offset):
        blocks, pitch = (channels + 15) // 16, 4 * channels
        for block in range(blocks * part // parts, blocks * (part + 1) // parts):
            at, count = 64 * block, min(16, channels - 16 * block)
            for row in range(rows):
                source = load_i64(states + 16 * row) + offset + at
                target = load_i64(states + 16 * row + 8) + offset + at
                total = load_first(bias + at, count) if bias else splat(0.0)
                for i in range(taps - 1):
                    past = load_first(source + i * pitch, count)
                    total = fma(past, load_first(w + at + i * pitch, count), total)
                    if i:
                        store_first(target + (i - 1) * pitch, past, count)
                new = load_first(x + row * stride + at, count)
                total = fma(new, load_first(w + at + (taps - 1) * pitch, count), total)
                store_first(target + (taps - 2) * pitch, new, count)
                store_first(out + row * pitch + at, silu(total) if activated else total, count)

    return Kernel(name, body)


conv1d = _conv1d("conv1d", False)
conv1d_silu = _conv1d("conv1d_silu", True)


def _recurrence(formula: Any, kernel: Kernel) -> Recurrence:
    def emit(
        tape: Tape,
        threads: int,
        state: State,
        inputs: Sequence[Any],
        weights: Sequence[Any],
        out: Any,
    ) -> None:
        (x,), (w, bias) = inputs, [0 if v is None else held(tape, v) for v in weights]
        rows, channels = out.shape
        values = (
            x, w, bias, state.rows, out, rows, channels, state.shape[0] + 1, row_bytes(x),
            state.offset,
        )  # fmt: skip
        parts = shares(-(-channels // 16), out.size, threads)
        tape.emit(kernel, parts, values, [x], [out])

    return Recurrence(formula, emit)


def dilated_silu(apart: int) -> Recurrence:
    """The same with silu, taps `apart` tokens apart; past [(taps - 1) * apart, channels]."""

    def formula(past: F64, x: F64, w: F64) -> tuple[F64, F64]:
        window = np.concatenate([past, x[None]])
        return silu_ref((window[::apart] * w).sum(axis=0)), window[1:]

    return Recurrence(formula)


CONV1D = _recurrence(conv1d_ref, conv1d)
CONV1D_SILU = _recurrence(conv1d_silu_ref, conv1d_silu)
