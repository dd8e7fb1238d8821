"""Attention's temperature: queries grow with the logarithm of their position (Llama 4, 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .arch import Arch, TemperatureLayers

if TYPE_CHECKING:
    from .keys import Keys

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Temperature:
    """1 + scale * log(1 + (position + offset) // length), in all layers or the unturned."""

    scale: float
    length: int
    offset: int
    without_rope: bool

    def at(self, positions: I64) -> F64:
        """The factor of each position."""
        factor: F64 = self.scale * np.log((positions + self.offset) // self.length + 1.0) + 1.0
        return factor


def read_temperature(keys: Keys, arch: Arch) -> Temperature | None:
    """From `attention.temperature_scale` and `_length`, where the spec has any."""
    given = dict(arch.reads)
    if arch.temperature is TemperatureLayers.NONE:
        return None
    scale = keys.number("attention.temperature_scale", given["attention.temperature_scale"])
    if not scale:
        return None
    context = keys.integer("rope.scaling.original_context_length", 0, 1 << 40, 0)
    context = context or keys.integer("context_length", 1, 1 << 40)
    default = int(given.get("attention.temperature_length", 0.0)) or context
    length = keys.integer("attention.temperature_length", 1, 1 << 40, default)
    without = arch.temperature is TemperatureLayers.WITHOUT_ROPE
    return Temperature(scale, length, int(without), without)
