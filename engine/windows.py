"""Windows of local layers, from metadata: how many keys a layer sees, 0 for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arch import Arch

if TYPE_CHECKING:
    from .keys import Keys


def read_windows(keys: Keys, arch: Arch, count: int) -> list[int]:
    """One window per layer: the file's pattern, or the architecture's."""
    if arch.window_period is None:
        return [0] * count
    window = keys.integer("attention.sliding_window", 0, 1 << 40, arch.default_window)
    window = arch.fixed_window or window if window else 0
    if not window:
        return [0] * count
    key = "attention.sliding_window_pattern"
    if isinstance(keys.metadata.get(f"{keys.prefix}.{key}"), np.ndarray):
        local = keys.per_layer(key, count, None, 1)
        return [window if slides else 0 for slides in local]
    period = keys.integer(key, 0, 1 << 20, arch.window_period)
    if not period:
        return [window] * count
    everything = 0 if arch.window_first else period - 1
    return [0 if layer % period == everything else window for layer in range(count)]
