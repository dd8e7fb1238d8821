"""Typed access to a file's metadata; an error names the key, what it holds and what was wanted.

Values are int, float, bool, str, list[str] or a read-only NumPy array in native byte order.
Types are as strict as the file's: a float is no integer, a bool no number.
"""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import MetadataError, shown

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

T = TypeVar("T")
D = TypeVar("D")

# Typed Any so that a getter called without a default has its plain type.
REQUIRED: Final[Any] = object()


class Metadata(Mapping[str, object]):
    """The key-value pairs of a file, in file order.

    Each getter takes a key and, if it may be missing, a default that is returned as it is; without
    one a missing key raises MetadataError, as a value of another type always does.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> object:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def integer(self, key: str, default: D = REQUIRED) -> int | D:
        """An integer of any width."""
        return self._get(key, default, _integer, "an integer")

    def number(self, key: str, default: D = REQUIRED) -> float | D:
        """A finite float, or an integer as a float."""
        return self._get(key, default, _number, "a finite number")

    def boolean(self, key: str, default: D = REQUIRED) -> bool | D:
        """A bool."""
        return self._get(key, default, _boolean, "a bool")

    def string(self, key: str, default: D = REQUIRED) -> str | D:
        """A string."""
        return self._get(key, default, _string, "a string")

    def strings(self, key: str, default: D = REQUIRED) -> list[str] | D:
        """An array of strings; the list is the file's own, not a copy."""
        return self._get(key, default, _strings, "an array of strings")

    def integers(self, key: str, default: D = REQUIRED) -> I64 | D:
        """An array of integers of any width, int64[n]."""
        return self._get(key, default, _integers, "an array of integers below 2^63")

    def numbers(self, key: str, default: D = REQUIRED) -> F64 | D:
        """An array of floats or integers, float64[n]; NaN and infinities as stored."""
        return self._get(key, default, _numbers, "an array of numbers")

    def _get(
        self, key: str, default: D, convert: Callable[[object], T | None], expected: str
    ) -> T | D:
        if key not in self._values:
            if default is REQUIRED:
                raise MetadataError(key, None, "no such key", expected)
            return default
        value = convert(self._values[key])
        if value is None:
            raise MetadataError(key, None, _described(self._values[key]), expected)
        return value


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.size} {value.dtype.name}"
    if isinstance(value, list):
        return f"an array of {len(value)} strings"
    return f"{shown(value)} ({type(value).__name__})"


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: object) -> list[str] | None:
    if isinstance(value, list) and set(map(type, value)) <= {str}:
        return value
    return None


def _integers(value: object) -> I64 | None:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        return None
    if value.dtype == np.uint64 and value.size and value.max() > np.iinfo(np.int64).max:
        return None
    return value.astype(np.int64)


def _numbers(value: object) -> F64 | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value.astype(np.float64)
    return None
