"""The numbers of a model, from its metadata: sizes, epsilons, rotary bases, windows, per layer where they differ.

Keys are those of the GGUF specification, `{architecture}.` in front (ggml docs/gguf.md); what llama.cpp
takes for absent keys is the default here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..formats.errors import MetadataError
from ..formats.metadata import Metadata
from .arch import Arch

MAX_LAYERS = 2048
SWA_BASE = 10000.0


@dataclass(frozen=True)
class RopeSpec:
    """Angles of one kind of layer: base, numbers that turn, and what positions are divided by."""

    base: float
    dim: int
    divide: float = 1.0


@dataclass(frozen=True)
class LayerSpec:
    """One layer's sizes; `window` 0 means all keys."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    feed_forward: int
    window: int
    rope: RopeSpec


@dataclass(frozen=True)
class HParams:
    """A model's sizes; `layers` holds one LayerSpec each."""

    context_length: int
    embedding: int
    vocabulary: int
    epsilon: float
    layers: tuple[LayerSpec, ...]
    attention_scale: float
    final_soft_cap: float


class _Keys:
    """Metadata under one architecture's prefix, with errors that say the range."""

    def __init__(self, metadata: Metadata, prefix: str) -> None:
        self.metadata, self.prefix = metadata, prefix

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        name = f"{self.prefix}.{key}"
        if default is not None and name not in self.metadata:
            return default
        value = self.metadata.integer(name)
        if not low <= value <= high:
            raise MetadataError(name, None, value, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float | None = None, positive: bool = False) -> float:
        name = f"{self.prefix}.{key}"
        if default is not None and name not in self.metadata:
            return default
        value = self.metadata.number(name)
        if positive and not value > 0:
            raise MetadataError(name, None, value, "a number above 0")
        return value

    def per_layer(self, key: str, count: int, default: int | None, high: int) -> list[int]:
        """One number for all layers, or an array of one per layer."""
        name = f"{self.prefix}.{key}"
        found = self.metadata.get(name)
        if not isinstance(found, np.ndarray):
            return [self.integer(key, 0, high, default)] * count
        values = [int(value) for value in self.metadata.integers(name)]
        if len(values) < count or not all(0 <= value <= high for value in values):
            raise MetadataError(name, None, values, f"{count} whole numbers from 0 to {high}")
        return values[:count]


def read_hparams(metadata: Metadata, arch: Arch, vocabulary: int) -> HParams:
    """Read and check the numbers. Raises MetadataError that names the key."""
    keys = _Keys(metadata, arch.name)
    count = keys.integer("block_count", 1, MAX_LAYERS)
    embedding = keys.integer("embedding_length", 1, 1 << 20)
    heads = keys.per_layer("attention.head_count", count, None, 1 << 14)
    kv_heads = keys.per_layer("attention.head_count_kv", count, heads[0], 1 << 14)
    feed_forward = keys.per_layer("feed_forward_length", count, None, 1 << 22)
    _check_heads(arch, heads, kv_heads)
    default_dim = max(1, embedding // heads[0])
    key_dim = keys.integer("attention.key_length", 1, 1 << 14, default_dim)
    value_dim = keys.integer("attention.value_length", 1, 1 << 14, default_dim)
    windows = _windows(keys, arch, count)
    ropes = {window: _rope(keys, key_dim, bool(window)) for window in set(windows)}
    scale = keys.number("attention.scale", 0.0) or 1 / key_dim**0.5
    return HParams(
        context_length=keys.integer("context_length", 1, 1 << 40),
        embedding=embedding,
        vocabulary=vocabulary,
        epsilon=keys.number("attention.layer_norm_rms_epsilon"),
        layers=tuple(
            LayerSpec(h, kv, key_dim, value_dim, ff, window, ropes[window])
            for h, kv, ff, window in zip(heads, kv_heads, feed_forward, windows, strict=True)
        ),
        attention_scale=scale,
        final_soft_cap=0.0,
    )


def _check_heads(arch: Arch, heads: list[int], kv_heads: list[int]) -> None:
    for h, kv in zip(heads, kv_heads, strict=True):
        if h < 1 or kv < 1 or h % kv:
            name = f"{arch.name}.attention.head_count_kv"
            raise MetadataError(name, None, kv, f"a divisor of head_count, which is {h}")


def _windows(keys: _Keys, arch: Arch, count: int) -> list[int]:
    window = keys.integer("attention.sliding_window", 0, 1 << 40, 0) if arch.window_period else 0
    if not window:
        return [0] * count
    name = f"{keys.prefix}.attention.sliding_window_pattern"
    pattern = keys.metadata.get(name)
    if isinstance(pattern, np.ndarray):
        local = keys.per_layer("attention.sliding_window_pattern", count, None, 1)
        return [window if slides else 0 for slides in local]
    period = keys.integer("attention.sliding_window_pattern", 1, 1 << 20, arch.window_period)
    return [0 if layer % period == period - 1 else window for layer in range(count)]


def _rope(keys: _Keys, key_dim: int, sliding: bool) -> RopeSpec:
    base = keys.number("rope.freq_base", SWA_BASE, positive=True)
    dim = keys.integer("rope.dimension_count", 0, key_dim, key_dim)
    if dim % 2:
        name = f"{keys.prefix}.rope.dimension_count"
        raise MetadataError(name, None, dim, "an even number")
    if sliding:
        return RopeSpec(keys.number("rope.freq_base_swa", SWA_BASE, positive=True), dim)
    linear = keys.metadata.get(f"{keys.prefix}.rope.scaling.type", "none") == "linear"
    divide = keys.number("rope.scaling.factor", 0.0) if linear else 0.0
    return RopeSpec(base, dim, divide or 1.0)
