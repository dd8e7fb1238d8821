"""Memory for what a step computes: an array returns its block when the last view of it is gone.

A recorded step may use a block again as soon as Python lets go of it, because operations run in the
order in which they were recorded. Blocks start at multiples of 64 bytes and are never given back to
the system while the pool lives, so addresses on a tape stay valid.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGN = 64


class _Block:
    """Owner of one array's memory, seen by NumPy through the array interface."""

    def __init__(
        self, pool: Pool, memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: Any
    ) -> None:
        self._pool, self._memory = pool, memory
        self.__array_interface__ = {
            "data": (memory.ctypes.data, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def __del__(self) -> None:
        self._pool._give(self._memory)


class Pool:
    """Blocks by size."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)
        self.size_bytes = 0

    def take(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """An array of undefined content."""
        kind = np.dtype(dtype)
        size = max(ALIGN, -(-math.prod(shape) * kind.itemsize // ALIGN) * ALIGN)
        free = self._free[size]
        memory = free.pop() if free else self._new(size)
        return np.asarray(_Block(self, memory, shape, kind))

    def _new(self, size: int) -> NDArray[np.uint8]:
        self.size_bytes += size
        return aligned(size)

    def _give(self, memory: NDArray[np.uint8]) -> None:
        self._free[len(memory)].append(memory)


def aligned(size: int) -> NDArray[np.uint8]:
    """`size` zero bytes that start at a multiple of 64."""
    raw = np.zeros(size + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + size]
