"""Layers that attend to the keys and values of an earlier one, from metadata.

The last `attention.shared_kv_layers` keep none of their own: each takes those of the last layer
before them that sees as far as it does (Gemma 3n, 2025).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from .arch import Arch

if TYPE_CHECKING:
    from .hparams import LayerSpec
    from .keys import Keys

KEY = "attention.shared_kv_layers"


def share_keys(keys: Keys, arch: Arch, layers: list[LayerSpec]) -> list[LayerSpec]:
    """Say of each layer whether it borrows. Raises MetadataError that names the key."""
    if arch.first_sharing is None:
        return layers
    count = len(layers)
    default = max(0, count - arch.first_sharing) if arch.first_sharing else 0
    own = count - keys.integer(KEY, 0, count - 1, default)
    lenders = {layer.window: layer for layer in layers[:own]}
    for borrower in layers[own:]:
        _check(keys, lenders.get(borrower.window), borrower)
    return layers[:own] + [replace(layer, borrows_keys=True) for layer in layers[own:]]


def _check(keys: Keys, lender: LayerSpec | None, borrower: LayerSpec) -> None:
    """A lender has the same window and as many key heads."""
    if lender is None:
        found = f"a layer with window {borrower.window} and none before it"
        raise MetadataError(f"{keys.prefix}.{KEY}", None, found, "a layer to share keys with")
    if lender.kv_heads != borrower.kv_heads:
        name, found = f"{keys.prefix}.attention.head_count_kv", f"{borrower.kv_heads}"
        expected = f"{lender.kv_heads}, as in the layer whose keys are shared"
        raise MetadataError(name, None, found, expected)
