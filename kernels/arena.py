"""Memory for weights: long runs in pages of 2 MB, cut one piece after the other.

A step reads all weights, and a core's guesses of what comes next end with a page. NumPy asks the
system for huge pages where an array has 4 MB or more, but only whole pages within it are huge, and
many matrices are smaller. Two Intel cores read 1.1 GB of Q4_0 at 24 GB/s in pages of 4 kB, at 31 in
huge ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pool import ALIGN

HUGE = 1 << 21
RUN = 1 << 26  # what is not used of a run is never touched, so it takes no memory


class Arena:
    """Pieces of runs; a run's memory is given back when its last piece is gone."""

    def __init__(self) -> None:
        self._left = np.empty(0, np.uint8)

    def take(self, size: int) -> NDArray[np.uint8]:
        """`size` zero bytes that start at a multiple of 64. Raises MemoryError."""
        room = -(-size // ALIGN) * ALIGN
        if room > len(self._left):
            self._left = _run(max(room, RUN))
        piece, self._left = self._left[:size], self._left[room:]
        return piece


def _run(size: int) -> NDArray[np.uint8]:
    raw = np.zeros(size + HUGE, np.uint8)
    start = -raw.ctypes.data % HUGE
    return raw[start : start + size]
