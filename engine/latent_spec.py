"""Latent attention of a layer, from metadata: ranks and the parts of a head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from .arch import Arch, Attention
from .rope_spec import RopeSpec

if TYPE_CHECKING:
    from .keys import Keys

MAX_RANK = 1 << 16


@dataclass(frozen=True)
class LatentSpec:
    """Sizes: ranks of queries (0: none) and keys, a head's key, value and turning part of the key.

    `absorbed`: attention runs on the latent row itself; else keys and values are made from it.
    """

    query_rank: int
    rank: int
    key_dim: int
    value_dim: int
    rope_dim: int
    scale: float
    absorbed: bool

    @property
    def plain_dim(self) -> int:
        """The part of a key that does not turn."""
        return self.key_dim - self.rope_dim


def read_latent(
    keys: Keys, arch: Arch, dims: tuple[int, int], rope: RopeSpec | None, local: bool
) -> LatentSpec | None:
    """The latent attention of a layer, or None; `dims` are the file's key and value lengths."""
    if arch.attention is not Attention.LATENT:
        return None
    own = f"{keys.prefix}.attention.kv_lora_rank_swa" in keys.metadata
    suffix = "_swa" if local and own else ""
    rank = keys.integer(f"attention.kv_lora_rank{suffix}", 1, MAX_RANK)
    query_rank = keys.integer("attention.q_lora_rank", 0, MAX_RANK, 0)
    key = keys.integer(f"attention.key_length_mla{suffix}", 0, 1 << 14, 0)
    value = keys.integer(f"attention.value_length_mla{suffix}", 0, 1 << 14, 0)
    absorbed = bool(key and value)
    key, value = (key, value) if absorbed else dims
    rope_dim = keys.integer("rope.dimension_count", 0, 1 << 14, dims[0])
    if rope_dim > key:
        name = f"{keys.prefix}.rope.dimension_count"
        raise MetadataError(name, None, str(rope_dim), f"at most {key}, a head's key")
    scale = _correction(rope) ** 2 / key**0.5
    return LatentSpec(query_rank, rank, key, value, rope_dim, scale, absorbed)


def _correction(rope: RopeSpec | None) -> float:
    if rope is None or rope.yarn is None or rope.divide <= 1:
        return 1.0
    return rope.magnitude * (1 + 0.1 * rope.yarn.log * math.log(rope.divide))
