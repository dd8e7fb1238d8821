"""Pooling: how the rows of a text become one vector, from `{architecture}.pooling_type`.

The numbers are llama.cpp's: 0 none, 1 mean, 2 first row ("cls"), 3 last row, 4 first row and a
classifier ("rank").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hparams import Keys


class Pooling(IntEnum):
    """What stands for a text."""

    NONE = 0  # each row for itself
    MEAN = 1
    CLS = 2
    LAST = 3
    RANK = 4  # scores by a classifier


@dataclass(frozen=True)
class PoolingSpec:
    """The file's pooling, whether it says so, and the number of a classifier's outputs."""

    kind: Pooling = Pooling.NONE
    given: bool = False
    labels: int = 1
    # The classifier reads the mean of all rows.
    of_mean: bool = False
    # Width between two matrices that the vector goes through last; 0: none.
    dense: int = 0


def read_pooling(keys: Keys) -> PoolingSpec:
    """From metadata; MetadataError names a key that is out of range."""
    given = f"{keys.prefix}.pooling_type" in keys.metadata
    kind = Pooling(keys.integer("pooling_type", 0, max(Pooling), 0))
    key = f"{keys.prefix}.classifier.output_labels"
    labels = len(keys.metadata.strings(key, [])) or 1
    of_mean = keys.integer("classifier.pooling_type", 0, max(Pooling), 0) == Pooling.MEAN
    dense = keys.integer("dense_2_feat_out", 0, 1 << 20, 0)
    return PoolingSpec(kind, given, labels, of_mean, dense)
