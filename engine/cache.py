"""Keys and values of a sequence: pages of 128 positions, shared by forks until one of them writes.

`append` makes room and copies a page that others hold before it is written; `truncate` forgets positions;
`fork` shares all pages. Freed pages are kept for the next sequence, up to a bound.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from ..kernels.kv_pages import PAGE, Region, region_after
from ..kernels.pool import aligned
from .hparams import HParams

KEEP_FREE_BYTES = 256 << 20


def layer_regions(hparams: HParams, types: tuple[str, str]) -> list[Region]:
    """Where each layer's keys and values lie in a page."""
    regions: list[Region] = []
    start = 0
    for layer in hparams.layers:
        dims = (layer.key_dim, layer.value_dim)
        regions.append(region_after(start, layer.kv_heads, dims, types))
        start = regions[-1].end
    return regions


class _Page:
    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory, self.users = memory, 1


class PagePool:
    """Gives out pages of one model; sequences of any thread take and return them."""

    def __init__(self, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()
        self.in_use = 0

    def take(self) -> _Page:
        """A page that nobody else holds."""
        with self._lock:
            self.in_use += 1
            memory = self._free.pop() if self._free else None
        return _Page(aligned(self.page_bytes) if memory is None else memory)

    def share(self, page: _Page) -> _Page:
        """The same page, held once more."""
        with self._lock:
            page.users += 1
        return page

    def give(self, page: _Page) -> None:
        """Let go of a page."""
        with self._lock:
            page.users -= 1
            if page.users:
                return
            self.in_use -= 1
            if (len(self._free) + 1) * self.page_bytes <= KEEP_FREE_BYTES:
                self._free.append(page.memory)


class Sequence:
    """One sequence's pages and their addresses, as the kernels read them."""

    def __init__(self, pool: PagePool, capacity: int) -> None:
        self.pool, self.capacity, self.length = pool, capacity, 0
        self.table = np.zeros(-(-capacity // PAGE), np.int64)
        self._pages: list[_Page] = []

    def append(self, count: int) -> None:
        """Make the next `count` positions writable; `length` counts them once `commit` is called."""
        for index in range(self.length // PAGE, -(-(self.length + count) // PAGE)):
            if index == len(self._pages):
                self._put(index, self.pool.take())
            elif self._pages[index].users > 1:
                self._put(index, self._copy(self._pages[index]))

    def commit(self, count: int) -> None:
        """Count `count` positions as written."""
        self.length += count

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        keep = -(-length // PAGE)
        for page in self._pages[keep:]:
            self.pool.give(page)
        del self._pages[keep:]
        self.length = length

    def fork(self) -> Sequence:
        """Another sequence with the same content; pages are shared until one of the two writes."""
        twin = Sequence(self.pool, self.capacity)
        twin._pages = [self.pool.share(page) for page in self._pages]
        twin.table[:] = self.table
        twin.length = self.length
        return twin

    def release(self) -> None:
        """Let go of every page."""
        self.truncate(0)

    def _put(self, index: int, page: _Page) -> None:
        self._pages[index : index + 1] = [page]
        self.table[index] = page.memory.ctypes.data

    def _copy(self, page: _Page) -> _Page:
        own = self.pool.take()
        own.memory[:] = page.memory
        self.pool.give(page)
        return own
