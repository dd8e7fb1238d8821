"""The key-value section of a GGUF file: key, type id, value, once per key.

Types 0 to 12 of the GGUF specification. An array holds one type and no arrays (nesting 1, as in
llama.cpp). Strings must be UTF-8 as the specification says; NUL and other control characters are
ordinary in values (vocabularies have them) and refused in keys.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cursor import STRUCT_ORDER, Cursor
from .errors import GGUFError, shown

ALIGNMENT_KEY: Final = "general.alignment"
DEFAULT_ALIGNMENT: Final = 32
# The shortest entry: key length, one byte of key, type id, one byte of value.
MIN_ENTRY_BYTES: Final = 8 + 1 + 4 + 1


class Kind(NamedTuple):
    """A value type: its name in messages and its NumPy code ('' for string and array)."""

    name: str
    code: str


U32: Final = Kind("u32", "u4")
BOOL: Final = Kind("bool", "u1")
STRING: Final = Kind("string", "")
ARRAY: Final = Kind("array", "")

KINDS: Final[dict[int, Kind]] = {
    0: Kind("u8", "u1"),
    1: Kind("i8", "i1"),
    2: Kind("u16", "u2"),
    3: Kind("i16", "i2"),
    4: U32,
    5: Kind("i32", "i4"),
    6: Kind("f32", "f4"),
    7: BOOL,
    8: STRING,
    9: ARRAY,
    10: Kind("u64", "u8"),
    11: Kind("i64", "i8"),
    12: Kind("f64", "f8"),
}


def read_values(cursor: Cursor, count: int) -> dict[str, object]:
    """Read `count` entries: int, float, bool, str, list[str] or a read-only array each."""
    values: dict[str, object] = {}
    for index in range(count):
        at = cursor.pos
        key = cursor.name(f"key {index}", cursor.limits.key)
        if key in values:
            raise GGUFError(f"key {index}", at, f"{shown(key)} again", "each key once")
        values[key] = _value(cursor, key)
    return values


def _value(cursor: Cursor, key: str) -> object:
    kind = _kind(cursor, f"{key} type")
    if key == ALIGNMENT_KEY:
        return _alignment(cursor, kind)
    if kind is ARRAY:
        return _array(cursor, key)
    if kind is STRING:
        return cursor.string(key, cursor.limits.string)
    return _numbers(cursor, kind, 1, key).item()


def _kind(cursor: Cursor, field: str) -> Kind:
    at = cursor.pos
    type_id = cursor.i32(field)
    if type_id not in KINDS:
        raise GGUFError(field, at, str(type_id), "a GGUF value type, 0 to 12")
    return KINDS[type_id]


def _array(cursor: Cursor, key: str) -> list[str] | NDArray[Any]:
    at = cursor.pos
    kind = _kind(cursor, f"{key} element type")
    if kind is ARRAY:
        raise GGUFError(f"{key} element type", at, "an array of arrays", "numbers or strings")
    min_bytes = 8 if kind is STRING else np.dtype(kind.code).itemsize
    count = cursor.count(f"{key} count", cursor.limits.array, min_bytes)
    if kind is STRING:
        return cursor.strings(count, key)
    return _numbers(cursor, kind, count, key)


def _numbers(cursor: Cursor, kind: Kind, count: int, field: str) -> NDArray[Any]:
    """Read `count` numbers as a read-only array in native byte order, with no work per element."""
    stored = np.dtype(STRUCT_ORDER[cursor.byte_order] + kind.code)
    start = cursor.take(count * stored.itemsize, field)
    # A slice of the map is a copy in bytes: aligned, and free of the map's life.
    values = np.frombuffer(cursor.buffer[start : cursor.pos], stored)
    if kind is BOOL:
        return _bools(values, start, field)
    values = values.astype(stored.newbyteorder("="), copy=False)
    values.flags.writeable = False
    return values


def _bools(values: NDArray[np.uint8], start: int, field: str) -> NDArray[np.bool_]:
    wrong = values > 1
    if wrong.any():
        index = int(wrong.argmax())
        raise GGUFError(field, start + index, f"the byte {values[index]}", "0 or 1 for a bool")
    return values.view(np.bool_)


def _alignment(cursor: Cursor, kind: Kind) -> int:
    if kind is not U32:
        raise GGUFError(f"{ALIGNMENT_KEY} type", cursor.pos - 4, kind.name, U32.name)
    at = cursor.pos
    value = cursor.u32(ALIGNMENT_KEY)
    if value.bit_count() != 1 or value > cursor.limits.alignment:
        expected = f"a power of two from 1 to {cursor.limits.alignment}"
        raise GGUFError(ALIGNMENT_KEY, at, str(value), expected)
    return value
