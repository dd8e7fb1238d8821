"""Arch: every way in which decoders differ, so that a model is a short list of departures from LLAMA.

Numbers come from the file, presence from its tensors; only structure is said here. A field names
mathematics, has one reader, and is set by some architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Placement(Enum):
    """Where a block's norms stand."""

    PRE = auto()  # x + f(norm(x))
    SANDWICH = auto()  # x + post_norm(f(norm(x)))


class Rope(Enum):
    """Which numbers of a head turn together."""

    NEIGHBOURS = auto()  # 2i and 2i + 1
    HALVES = auto()  # i and i + dim / 2


class QKNorm(Enum):
    """Norm of queries and keys before they turn."""

    NONE = auto()
    PER_HEAD = auto()


class Gate(Enum):
    """activation(gate(x)) * up(x) of the feed-forward layer; the value is the kernel's name."""

    SILU = "silu"
    GELU = "gelu"


@dataclass(frozen=True)
class Arch:
    """One architecture, named as `general.architecture` has it."""

    name: str
    placement: Placement = Placement.PRE
    rope: Rope = Rope.NEIGHBOURS
    qk_norm: QKNorm = QKNorm.NONE
    gate: Gate = Gate.SILU
    # Token embeddings are multiplied by sqrt(embedding_length).
    scaled_embedding: bool = False
    # Every n-th layer sees all keys, the others `attention.sliding_window`; 0: all see all.
    window_period: int = 0
