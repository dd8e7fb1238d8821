"""Keys and values of a sequence: pages of 128 positions, shared by forks until one of them writes.

`append` makes room and copies a page that others hold before it is written; `truncate` forgets
positions; `fork` shares all pages. Freed pages are kept for the next sequence, up to a bound.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import MetadataError
from ..kernels.kv_pages import DTYPES, PAGE, Region, region_after
from ..kernels.kv_types import KV_TYPES
from ..kernels.pool import aligned
from .hparams import HParams, LayerSpec

if TYPE_CHECKING:
    from .state import States

KEEP_FREE_BYTES = 256 << 20


def layer_regions(hparams: HParams, types: tuple[str, str], kept: bool = True) -> list[Region]:
    """Where each layer's keys and values lie in a page; all in one place if none are `kept`."""
    regions: list[Region] = []
    last_kept: dict[int, Region] = {}
    start = 0
    for number, layer in enumerate(hparams.layers):
        dims = (layer.key_dim, layer.value_dim)
        _check_types(number, layer, types)
        region = region_after(start, layer.kv_heads, dims, types)
        if layer.indexer is not None and layer.indexer.owner:
            index = region_after(region.end, 1, (layer.indexer.dim, 0), types)
            region = replace(region, index=index)
        if layer.mixer is not None and layer.mixer.rows():
            region = _rows(start, layer.mixer.rows(), types)
        if hparams.adapters and number == 0:
            region = replace(region, index=hparams.adapters.region(region.end))
        if layer.borrows_keys:
            regions.append(last_kept[layer.window])
            continue
        last_kept[layer.window] = region
        regions.append(region)
        start = regions[-1].end if kept else 0
    return regions


def _check_types(index: int, layer: LayerSpec, types: tuple[str, str]) -> None:
    """Raise MetadataError if a layer's sizes are not whole blocks of the cache's types."""
    sizes = (("key", layer.key_dim), ("value", layer.value_dim))
    for (part, dim), name in zip(sizes, types, strict=True):
        step, letter = KV_TYPES[name].step, part[0].upper()
        if dim % step:
            rule = f"a multiple of {step}, as llama{letter}CacheQuantizationType {name} asks"
            raise MetadataError(f"attention.{part}_length of layer {index}", None, str(dim), rule)
    # Rows that formulas store are numbers that NumPy has.
    special = layer.indexer is not None or (layer.mixer is not None and layer.mixer.rows())
    if special and types[0] not in DTYPES:
        rule = f"one of {', '.join(DTYPES)} for layer {index}, which keeps rows of its own"
        raise MetadataError("llamaKCacheQuantizationType", None, types[0], rule)


def _rows(start: int, dims: list[int], types: tuple[str, str]) -> Region:
    """Regions of one row per position and size, each behind the one before."""
    first = region_after(start, 1, (dims[0], 0), types)
    return replace(first, index=_rows(first.end, dims[1:], types)) if dims[1:] else first


class Page:
    """One block of memory and how many hold it."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory, self.users = memory, 1


class PagePool:
    """Gives out pages of one model; sequences of any thread take and return them."""

    def __init__(self, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()
        self.in_use = 0

    def take(self) -> Page:
        """A page that nobody else holds."""
        with self._lock:
            self.in_use += 1
            memory = self._free.pop() if self._free else None
        return Page(aligned(self.page_bytes) if memory is None else memory)

    def share(self, page: Page) -> Page:
        """The same page, held once more."""
        with self._lock:
            page.users += 1
        return page

    def give(self, page: Page) -> None:
        """Let go of a page."""
        with self._lock:
            page.users -= 1
            if page.users:
                return
            self.in_use -= 1
            if (len(self._free) + 1) * self.page_bytes <= KEEP_FREE_BYTES:
                self._free.append(page.memory)


class Sequence:
    """One sequence's pages and their addresses, as the kernels read them; `states`, if any."""

    def __init__(self, pool: PagePool, capacity: int, states: States | None = None) -> None:
        self.pool, self.capacity, self.length = pool, capacity, 0
        self.states = states
        # Of an answer: the keys and values of what it answers to, never written again.
        self.source: Sequence | None = None
        self.table = np.zeros(-(-capacity // PAGE), np.int64)
        self.address: int = self.table.ctypes.data
        self._pages: list[Page] = []

    def append(self, count: int) -> None:
        """Make the next `count` positions writable; `length` counts them once `commit` is done."""
        for index in range(self.length // PAGE, -(-(self.length + count) // PAGE)):
            if index == len(self._pages):
                self._put(index, self.pool.take())
            elif self._pages[index].users > 1:
                self._put(index, self._copy(self._pages[index]))

    def commit(self, count: int) -> None:
        """Count `count` positions as written."""
        self.length += count
        if self.states is not None:
            self.states.commit(self.length)

    def truncate(self, length: int) -> int:
        """Forget all positions from `length` on, or from the checkpoint before it; return which."""
        if self.states is not None:
            length = self.states.truncate(length)
        keep = -(-length // PAGE)
        for page in self._pages[keep:]:
            self.pool.give(page)
        del self._pages[keep:]
        self.length = length
        return length

    def fork(self) -> Sequence:
        """Another sequence with the same content; pages are shared until one of the two writes."""
        twin = Sequence(self.pool, self.capacity, self.states and self.states.fork())
        twin._pages = [self.pool.share(page) for page in self._pages]
        twin.table[:] = self.table
        twin.length = self.length
        twin.source = self.source and self.source.fork()
        return twin

    def release(self) -> None:
        """Let go of every page."""
        self.truncate(0)
        if self.states is not None:
            self.states.release()
        if self.source is not None:
            self.source.release()

    def _put(self, index: int, page: Page) -> None:
        self._pages[index : index + 1] = [page]
        self.table[index] = page.memory.ctypes.data

    def _copy(self, page: Page) -> Page:
        own = self.pool.take()
        own.memory[:] = page.memory
        self.pool.give(page)
        return own
