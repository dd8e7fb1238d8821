"""Pool memory: one owner at a time, used again when the last view is gone."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.pool import Pool, aligned


@pytest.mark.parametrize("size", [1, 63, 64, 1000])
def test_memory_starts_at_a_multiple_of_64(size: int) -> None:
    memory = aligned(size)
    assert (memory.ctypes.data % 64, len(memory)) == (0, size)


def test_a_block_is_used_again_once_its_array_is_gone() -> None:
    pool = Pool()
    address = pool.take((4, 5)).ctypes.data
    assert pool.take((5, 4)).ctypes.data == address


def test_a_view_keeps_its_block() -> None:
    pool = Pool()
    array = pool.take((4, 16))
    view = array.reshape(2, 32)[1:]
    address = array.ctypes.data
    del array
    assert pool.take((4, 16)).ctypes.data != address
    view[...] = 1


@pytest.mark.parametrize("shape", [(0, 4), (3,), (2, 3, 4)])
def test_shapes_and_types_are_as_asked(shape: tuple[int, ...]) -> None:
    array = Pool().take(shape, np.uint8)
    assert (array.shape, array.dtype) == (shape, np.uint8)
