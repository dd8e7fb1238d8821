"""Mixer: a layer's recurrence, or attention of its own kind; what it reads, remembers and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tables import Wanted

if TYPE_CHECKING:
    from .layer import Array, Layer


class Mixer:
    """Made by `read(keys, layer)` from metadata; that raises MetadataError that names the key."""

    def tensors(self, embedding: int) -> list[Wanted]:
        """What it reads, without `blk.N.`."""
        raise NotImplementedError

    def states(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what it remembers of a sequence, by name; all start as zeros."""
        return {}

    def rows(self) -> list[int]:
        """Sizes of what it keeps of every position, in `layer.region` and those behind it."""
        return []

    @property
    def own_feed_forward(self) -> bool:
        """Whether `feed_forward` stands for the layer's."""
        return False

    @property
    def after(self) -> float:
        """What the layer's result is multiplied with."""
        return 1.0

    def feed_forward(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        raise NotImplementedError

    def mix(self, layer: Layer, h: Array) -> Array:
        """h [rows, embedding] -> [rows, embedding]."""
        raise NotImplementedError
