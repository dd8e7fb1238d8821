"""Rotary angles of a layer, from metadata: base, scaling, correction; and the table of a spec.

    angle(position, i) = position * base^(-2i/dim) / (divide * factor[i])

Cosine and sine are multiplied by a magnitude.

YaRN (Peng et al., 2023) leaves fast frequencies as they are, divides slow ones and blends those
between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..formats.errors import MetadataError
from ..kernels.rope import RopeTable, frequencies
from .arch import Arch, LocalRope, Rope, YarnLog

if TYPE_CHECKING:
    from .keys import Keys

F64 = NDArray[np.float64]
BASE = 10000.0
BETA_FAST, BETA_SLOW = 32.0, 1.0


@dataclass(frozen=True)
class Yarn:
    """Between which numbers of turns within `context` positions the blend lies."""

    context: int
    fast: float
    slow: float
    # Numbers of a logarithmic correction of attention's scale.
    log: float = 0.0


@dataclass(frozen=True)
class RopeSpec:
    """Angles of one kind of layer: base, numbers that turn, and what positions are divided by.

    `factors` says that the file's tables of factors apply: `rope_freqs`, or `rope_factors_long` for
    contexts beyond `context` and `rope_factors_short` up to it.
    """

    base: float
    dim: int
    divide: float = 1.0
    magnitude: float = 1.0
    yarn: Yarn | None = None
    factors: bool = False
    context: int = 0


def read_ropes(keys: Keys, arch: Arch, dims: tuple[int, int]) -> tuple[RopeSpec, RopeSpec]:
    """Angles of the layers that see everything and of the local ones; `dims` are their key dims."""
    everywhere = _global(keys, arch, dims[0])
    dim = _dim(keys, "rope.dimension_count_swa", dims[1], min(everywhere.dim, dims[1]))
    own = BASE if arch.local_rope is LocalRope.OWN else everywhere.base
    local = replace(everywhere, dim=dim, base=keys.number("rope.freq_base_swa", own, positive=True))
    if arch.local_rope is not LocalRope.SCALED:
        local = replace(local, divide=1.0, magnitude=1.0, yarn=None)
    if arch.local_rope in (LocalRope.OWN, LocalRope.TWICE):
        local = replace(local, factors=False)
    if arch.local_rope is LocalRope.TWICE:
        everywhere = replace(everywhere, dim=everywhere.dim // 4 * 2)
    return everywhere, local


def _dim(keys: Keys, key: str, most: int, default: int) -> int:
    dim = keys.integer(key, 0, most, default)
    if dim % 2:
        raise MetadataError(f"{keys.prefix}.{key}", None, str(dim), "an even number")
    return dim


def _global(keys: Keys, arch: Arch, key_dim: int) -> RopeSpec:
    if arch.rope is Rope.NONE:
        return RopeSpec(BASE, 0)
    dim = _dim(keys, "rope.dimension_count", key_dim, key_dim)
    base = keys.number("rope.freq_base", BASE, positive=True)
    alpha = keys.number("rope.scaling.alpha", 0.0)
    if alpha > 0 and key_dim > 2:
        base = _stretched(keys, base, alpha, key_dim)
    kind = keys.choice("rope.scaling.type", ("none", "linear", "yarn", "longrope"), "linear")
    divide = keys.number("rope.scaling.factor", 0.0) or keys.number("rope.scale_linear", 0.0)
    divide = 1.0 if kind == "none" or not divide else divide
    if divide < 0:
        raise MetadataError(
            f"{keys.prefix}.rope.scaling.factor", None, str(divide), "a number above 0"
        )
    context = keys.integer("rope.scaling.original_context_length", 0, 1 << 40, 0)
    context = context or keys.integer("context_length", 1, 1 << 40)
    yarn = None
    if kind == "yarn":
        if base <= 1:
            name = f"{keys.prefix}.rope.freq_base"
            raise MetadataError(name, None, str(base), "a number above 1, for yarn")
        fast = keys.number("rope.scaling.yarn_beta_fast", BETA_FAST, positive=True)
        slow = keys.number("rope.scaling.yarn_beta_slow", BETA_SLOW, positive=True)
        yarn = Yarn(context, fast, slow, _log(keys, arch))
    magnitude = keys.number("rope.scaling.attn_factor", 1.0) * _correction(arch, yarn, divide)
    return RopeSpec(base, dim, divide, magnitude, yarn, arch.rope_factors, context)


def _stretched(keys: Keys, base: float, alpha: float, key_dim: int) -> float:
    try:
        stretched: float = base * alpha ** (key_dim / (key_dim - 2))
    except OverflowError:
        stretched = math.inf
    if not 0 < stretched < math.inf:
        name = f"{keys.prefix}.rope.scaling.alpha"
        raise MetadataError(name, None, str(alpha), f"a stretch of the base {base} to a number")
    return stretched


def _log(keys: Keys, arch: Arch) -> float:
    if arch.yarn_log is YarnLog.NONE:
        return 0.0
    log = keys.number("rope.scaling.yarn_log_multiplier", 0.0)
    return log if arch.yarn_log is YarnLog.PLAIN else 10 * log


def _correction(arch: Arch, yarn: Yarn | None, divide: float) -> float:
    """Grows with the logarithm of the scaling, unless attention's own scale does."""
    if yarn is None or divide <= 1:
        return 1.0
    if not yarn.log:
        return 1 + 0.1 * math.log(divide)
    if arch.yarn_log is YarnLog.TENTHS_EVEN:
        return 1.0
    return (1 + 0.1 * math.log(divide)) / (1 + 0.1 * yarn.log * math.log(divide))


def rope_table(
    spec: RopeSpec, factors: dict[str, F64], longest: int, number: DTypeLike
) -> RopeTable:
    """The table of a spec for contexts up to `longest`; `factors` are the file's, by name."""
    turns = np.array(frequencies(spec.base, spec.dim))
    if spec.factors:
        kind = "long" if longest > spec.context else "short"
        names = [name for name in ("rope_freqs", f"rope_factors_{kind}") if name in factors]
        turns = turns / factors[names[0]][: len(turns)] if names else turns
    slow = turns / spec.divide
    if spec.yarn:
        blend = _blend(spec, spec.yarn)
        slow = slow * (1 - blend) + turns * blend
    return RopeTable(spec.base, spec.dim, 1.0, number, slow, spec.magnitude)


def _blend(spec: RopeSpec, yarn: Yarn) -> F64:
    """1 where a frequency stays, 0 where it is divided, a ramp between."""

    def place(turns: float) -> float:
        return spec.dim * math.log(yarn.context / (turns * 2 * math.pi)) / (2 * math.log(spec.base))

    # NumPy's, as a place may be infinite.
    low = max(0.0, np.floor(place(yarn.fast)))
    high = min(spec.dim - 1.0, np.ceil(place(yarn.slow)))
    ramp = (np.arange(spec.dim // 2) - low) / max(0.001, high - low)
    blend: F64 = 1 - np.clip(ramp, 0, 1)
    return blend
