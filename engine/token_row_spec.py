"""Rows of numbers that a token has for each layer, from metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .arch import Arch

if TYPE_CHECKING:
    from .keys import Keys


@dataclass(frozen=True)
class TokenRowSpec:
    """One layer's part of the tokens' rows: `dim` numbers, behind those of `index` other layers."""

    index: int
    layers: int
    dim: int


def read_token_rows(keys: Keys, arch: Arch, count: int) -> list[TokenRowSpec | None]:
    """One per layer, None if tokens have no such rows."""
    if arch.token_rows is None:
        return [None] * count
    dim = keys.integer("embedding_length_per_layer_input", 0, 1 << 20, arch.token_rows)
    return [TokenRowSpec(i, count, dim) if dim else None for i in range(count)]
