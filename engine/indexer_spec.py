"""Sparse attention of a layer, from metadata: a small attention chooses keys for the large one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from .arch import Arch, Indexer

if TYPE_CHECKING:
    from .keys import Keys

# From this context on, a file without `attention.indexer.types` has one chooser for four layers.
LONG_CONTEXT = 1 << 20


@dataclass(frozen=True)
class IndexerSpec:
    """The chooser's heads and their dim, and how many keys (or blocks of keys) it lets through.

    A layer that is no `owner` takes the choice of the last one that is. `epsilon`: of its key norm.
    """

    heads: int
    dim: int
    top: int
    block: int
    local_blocks: int
    owner: bool
    epsilon: float = 1e-6
    # So many neighbours share a key, 0: none do.
    pool: int = 0

    def states(self) -> dict[str, tuple[int, ...]]:
        """What the keys of a pool are made from: keys and gates of the last tokens."""
        return {"pool": (2, self.pool, self.dim)} if self.pool and self.owner else {}


def read_indexers(
    keys: Keys, arch: Arch, windows: list[int], dense: int
) -> list[IndexerSpec | None]:
    """One per layer, None where all keys in sight are used."""
    top = keys.integer("attention.indexer.top_k", 0, 1 << 40, 0)
    if arch.indexer is Indexer.NONE or not top:
        return [None] * len(windows)
    heads = keys.integer("attention.indexer.head_count", 1, 1 << 14)
    dim = keys.integer("attention.indexer.key_length", 1, 1 << 14)
    if arch.indexer is Indexer.BLOCKS:
        block = keys.integer("attention.indexer.block_size", 1, 1 << 20)
        near = keys.integer("attention.indexer.local_blocks", 0, 1 << 20)
        spec = IndexerSpec(heads, dim, top, block, near, True)
        return [spec if layer >= dense else None for layer in range(len(windows))]
    if arch.indexer in (Indexer.GATED_POOLS, Indexer.MEAN_POOLS):
        return _pools(keys, arch, heads, dim, top, len(windows))
    epsilon = keys.number("attention.layer_norm_rms_epsilon") if arch.indexer_epsilon else 1e-6
    owners = _owners(keys, len(windows))
    return [
        None if window else IndexerSpec(heads, dim, top, 1, 0, own, epsilon)
        for window, own in zip(windows, owners, strict=True)
    ]


def _pools(
    keys: Keys, arch: Arch, heads: int, dim: int, top: int, count: int
) -> list[IndexerSpec | None]:
    epsilon = keys.number("attention.layer_norm_epsilon", 0.0)
    if arch.indexer is Indexer.GATED_POOLS:
        pools = [keys.integer("attention.indexer.kpool", 2, 1 << 16)] * count
        owners = _owners(keys, count)
    else:
        pools = keys.per_layer("attention.compress_ratios", count, 0, 1 << 16)
        owners = [True] * count
    return [
        IndexerSpec(heads, dim, top, 1, 0, own, epsilon, pool) if pool else None
        for pool, own in zip(pools, owners, strict=True)
    ]


def _owners(keys: Keys, count: int) -> list[bool]:
    """Which layers choose: those that `attention.indexer.types` names, or all."""
    key = "attention.indexer.types"
    if f"{keys.prefix}.{key}" in keys.metadata:
        return [bool(kind) for kind in keys.per_layer(key, count, 1, 1 << 20)]
    long = keys.integer("context_length", 1, 1 << 40) >= LONG_CONTEXT
    return [not long or layer < 3 or layer % 4 == 2 for layer in range(count)]


def check_choosers(keys: Keys, specs: list[IndexerSpec]) -> None:
    """Refuse a first indexer that takes another's choice. Raises MetadataError."""
    if specs and not specs[0].owner:
        name = f"{keys.prefix}.attention.indexer.types"
        found = "a first layer that takes the choice of one before it"
        raise MetadataError(name, None, found, "one that chooses")
