"""Which keys each row of a step sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Per row: its sequence's page table and the first and last key it sees; int64 [rows, 3].

    `longest` bounds the number of keys of any sequence, for memory that is laid out once.
    """

    rows: I64
    tables: list[I64] = field(repr=False)
    longest: int
