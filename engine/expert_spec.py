"""Experts of a layer, from metadata: how many, how many a row uses, how they are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from .arch import Arch, Router

if TYPE_CHECKING:
    from .hparams import LayerSpec
    from .keys import Keys

MAX_EXPERTS = 4096


@dataclass(frozen=True)
class ExpertSpec:
    """One layer's experts; `feed_forward` and `shared` are widths, `clamps` limit activations.

    Of `groups` groups only the `groups_used` best are open to a row.
    """

    count: int
    used: int
    feed_forward: int
    shared: int
    shares: bool
    router: Router
    normed: bool
    scale: float
    groups: int = 1
    groups_used: int = 1
    clamps: tuple[float, float] = (0.0, 0.0)
    # Numbers of the second, smaller set that shares the router: width, experts per member, scale.
    chunk: int = 0
    per_chunk: int = 1
    chunk_scale: float = 1.0
    # How many numbers the experts read and write, 0: as many as the model's rows have.
    narrow: int = 0


def read_experts(
    keys: Keys, arch: Arch, layer: int, layers: int, sizes: LayerSpec
) -> ExpertSpec | None:
    """The experts of a layer with a router, or None. Raises MetadataError that names the key."""
    count = keys.integer("expert_count", 0, MAX_EXPERTS, 0)
    if not count:
        return None
    used = keys.per_layer("expert_used_count", layers, 0, MAX_EXPERTS)[layer]
    if not 1 <= used <= count:
        name = f"{keys.prefix}.expert_used_count"
        raise MetadataError(name, None, str(used), f"1 to {count}, the expert_count")
    width = keys.per_layer("expert_feed_forward_length", layers, 0, 1 << 22)[layer]
    width = width or sizes.feed_forward
    several = keys.integer("expert_shared_count", 0, MAX_EXPERTS, 0)
    groups, open_ = _groups(keys, count)
    return ExpertSpec(
        count,
        used,
        width,
        keys.integer("expert_shared_feed_forward_length", 0, 1 << 22, 0) or width * max(1, several),
        several > 0,
        Router(keys.integer("expert_gating_func", 0, 4, 0) or arch.router.value),
        keys.flag("expert_weights_norm", arch.normed_weights),
        keys.number("expert_weights_scale", 0.0) or 1.0,
        groups,
        open_,
        (_clamp(keys, "exp", layers)[layer], _clamp(keys, "shexp", layers)[layer]),
        _chunk(keys, arch, sizes),
        keys.integer("experts_per_group", 1, count, 1),
        keys.number("expert_group_scale", 1.0),
        keys.integer("expert_latent_length", 0, 1 << 20, 0)
        or keys.integer("moe_latent_size", 0, 1 << 20, 0),
    )


def _chunk(keys: Keys, arch: Arch, sizes: LayerSpec) -> int:
    given = keys.integer("expert_chunk_feed_forward_length", 0, 1 << 22, 0)
    return (given or sizes.key_dim) if arch.small_experts else 0


def _groups(keys: Keys, count: int) -> tuple[int, int]:
    groups = keys.integer("expert_group_count", 0, count, 0)
    if groups <= 1:
        return 1, 1
    keys.divisor("expert_group_count", count)
    return groups, keys.integer("expert_group_used_count", 1, groups)


def _clamp(keys: Keys, kind: str, layers: int) -> list[float]:
    return keys.numbers(f"swiglu_clamp_{kind}", layers, 0.0)
