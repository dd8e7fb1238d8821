"""Borrowed arrays are the same memory."""

import numpy as np

from gnomon.kernels._jit import jit
from gnomon.kernels.grammar.borrow import borrow


@jit
def _write_through(array: np.ndarray) -> int:
    view = borrow(array)
    for i in range(view.shape[0]):
        view[i] += i
    return view.shape[0]


def test_writes_reach_the_callers_array() -> None:
    array = np.zeros(5, np.int64)
    assert _write_through(array) == 5
    assert array.tolist() == [0, 1, 2, 3, 4]
