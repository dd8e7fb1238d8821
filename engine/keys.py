"""Metadata under one architecture's prefix, checked; all that is wrong is reported at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ..formats.errors import MetadataError, shown
from ..formats.metadata import Metadata

T = TypeVar("T")


class Keys:
    """Typed getters. A key that is missing or wrong is noted and a valid value stands in for it.

    `check` raises MetadataError with everything that was noted.
    """

    def __init__(self, metadata: Metadata, prefix: str) -> None:
        self.metadata, self.prefix = metadata, prefix
        self.wrong: dict[str, MetadataError] = {}

    def note(self, error: MetadataError) -> None:
        """Add an error; of one key the first counts."""
        self.wrong.setdefault(error.field, error)

    def check(self) -> None:
        """Raise one MetadataError for all that is wrong."""
        errors = list(self.wrong.values())
        if len(errors) == 1:
            raise errors[0]
        if errors:
            found = "; ".join(f"{e.field}: {e.found} (expected {e.expected})" for e in errors)
            raise MetadataError("metadata", None, found, "valid values")

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in a range, or the default where there is none."""
        name = f"{self.prefix}.{key}"
        if default is not None and name not in self.metadata:
            return default
        value = self._read(lambda: self.metadata.integer(name), low)
        if low <= value <= high:
            return value
        self.note(MetadataError(name, None, str(value), f"a whole number from {low} to {high}"))
        return low

    def number(self, key: str, default: float | None = None, positive: bool = False) -> float:
        """A number, or the default where there is none."""
        name = f"{self.prefix}.{key}"
        if default is not None and name not in self.metadata:
            return default
        value = self._read(lambda: self.metadata.number(name), 1.0)
        if not positive or value > 0:
            return value
        self.note(MetadataError(name, None, str(value), "a number above 0"))
        return 1.0

    def divisor(self, key: str, of: int) -> int:
        """A whole number that divides another."""
        value = self.integer(key, 1, of)
        if of % value:
            raise MetadataError(f"{self.prefix}.{key}", None, str(value), f"a divisor of {of}")
        return value

    def equal(self, key: str, to: int) -> None:
        """A whole number that the others give already."""
        value = self.integer(key, 1, 1 << 40)
        if value != to:
            self.note(MetadataError(f"{self.prefix}.{key}", None, str(value), f"{to}"))

    def integers(self, key: str, least: int = 0) -> tuple[int, ...]:
        """A list of whole numbers, at least so many; none if the key is absent."""
        name = f"{self.prefix}.{key}"
        found = [int(x) for x in self.metadata.integers(name)] if name in self.metadata else []
        if len(found) < least:
            raise MetadataError(name, None, f"{len(found)} numbers", f"{least} or more")
        return tuple(found)

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """One of some words."""
        name = f"{self.prefix}.{key}"
        value = self._read(lambda: self.metadata.string(name, default), default)
        if value in known:
            return value
        self.note(MetadataError(name, None, shown(value), f"one of {', '.join(known)}"))
        return default

    def flag(self, key: str, default: bool) -> bool:
        """A boolean, or the default where there is none."""
        name = f"{self.prefix}.{key}"
        return self._read(lambda: self.metadata.boolean(name, default), default)

    def _integers(self, name: str) -> list[int]:
        """An array of whole numbers; true and false count as 1 and 0."""
        found = self.metadata.get(name)
        if isinstance(found, np.ndarray) and found.dtype == np.bool_:
            return [int(value) for value in found]
        return [int(value) for value in self.metadata.integers(name)]

    def per_layer(self, key: str, count: int, default: int | None, high: int) -> list[int]:
        """One whole number for all layers, or an array of one per layer."""
        name = f"{self.prefix}.{key}"
        if not isinstance(self.metadata.get(name), np.ndarray):
            return [self.integer(key, 0, high, default)] * count
        nothing: list[int] = []
        values = self._read(lambda: self._integers(name), nothing)
        if len(values) >= count and all(0 <= value <= high for value in values):
            return values[:count]
        expected = f"{count} whole numbers from 0 to {high}"
        self.note(MetadataError(name, None, str(values[:8]), expected))
        return [0] * count

    def numbers(self, key: str, count: int, default: float) -> list[float]:
        """One number for all layers, or an array of one per layer."""
        name = f"{self.prefix}.{key}"
        if not isinstance(self.metadata.get(name), np.ndarray):
            return [self.number(key, default)] * count
        nothing: list[float] = []
        values = self._read(lambda: [float(v) for v in self.metadata.numbers(name)], nothing)
        if len(values) >= count:
            return values[:count]
        self.note(MetadataError(name, None, f"{len(values)} numbers", f"{count}, one per layer"))
        return [default] * count

    def _read(self, get: Callable[[], T], instead: T) -> T:
        try:
            return get()
        except MetadataError as error:
            self.note(error)
            return instead
