"""The tensor directory of a GGUF file: name, shape, type and place of each tensor, all checked.

Sizes are Python integers, so nothing wraps; they are bounded before NumPy sees them. Tensors lie
in the order of the directory without overlap; gaps and bytes after the last one are allowed and
noted. The padding after the last tensor may be missing.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Final

from .cursor import Cursor
from .errors import GGUFError, shown
from .ggml_types import GGML, REMOVED, Block

MAX_NAME_BYTES: Final = 63
MAX_DIMS: Final = 4
# ggml counts elements and bytes in signed 64-bit integers.
MAX_COUNT: Final = (1 << 63) - 1
# The shortest entry: name length, one byte of name, n_dims, one dim, type id, offset.
MIN_ENTRY_BYTES: Final = 8 + 1 + 4 + 8 + 4 + 8

_SLASH: Final = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor as the directory states it; `offset` counts from the start of the tensor data.

    `shape` is in NumPy order, slowest first; `n_bytes` its stored size; `at` the place of the
    offset in the file, for messages.
    """

    name: str
    block: Block
    shape: tuple[int, ...]
    n_bytes: int
    offset: int
    at: int


def read_entries(cursor: Cursor, count: int) -> list[Entry]:
    """Read `count` entries; names are unique, shapes and types possible."""
    entries: list[Entry] = []
    seen: set[str] = set()
    for index in range(count):
        at = cursor.pos
        name = _name(cursor, f"tensor {index} name")
        if name in seen:
            raise GGUFError(f"tensor {index} name", at, f"{name!r} again", "each name once")
        seen.add(name)
        entries.append(_entry(cursor, name))
    return entries


def _name(cursor: Cursor, field: str) -> str:
    at = cursor.pos + 8
    name = cursor.name(field, MAX_NAME_BYTES)
    # Traces and conversions name files after tensors: a name must not lead out of their folder.
    if not {"", ".", ".."}.isdisjoint(_SLASH.split(name)):
        raise GGUFError(field, at, shown(name), "a name, not a path")
    return name


def _entry(cursor: Cursor, name: str) -> Entry:
    label = f"tensor {name!r}"
    dims = _dims(cursor, label)
    at = cursor.pos
    block = _block(cursor, f"{label} type")
    if dims[0] % block.elements:
        expected = f"a multiple of {block.elements}, the block of {block.name}"
        raise GGUFError(f"{label} type", at, f"rows of {dims[0]} elements", expected)
    n_bytes = prod(dims) // block.elements * block.bytes
    if n_bytes > MAX_COUNT:
        raise GGUFError(f"{label} size", at, f"{n_bytes} bytes", f"at most {MAX_COUNT}")
    at = cursor.pos
    offset = cursor.u64(f"{label} offset")
    return Entry(name, block, tuple(reversed(dims)), n_bytes, offset, at)


def _dims(cursor: Cursor, label: str) -> list[int]:
    at = cursor.pos
    n_dims = cursor.u32(f"{label} n_dims")
    if not 1 <= n_dims <= MAX_DIMS:
        raise GGUFError(f"{label} n_dims", at, str(n_dims), f"1 to {MAX_DIMS}")
    dims = []
    for axis in range(n_dims):
        dim = cursor.u64(f"{label} dims[{axis}]")
        if not 1 <= dim <= MAX_COUNT:
            expected = f"1 to {MAX_COUNT} elements"
            raise GGUFError(f"{label} dims[{axis}]", cursor.pos - 8, str(dim), expected)
        dims.append(dim)
    if prod(dims) > MAX_COUNT:
        expected = f"a product of at most {MAX_COUNT}"
        raise GGUFError(f"{label} dims", at + 4, shown(dims), expected)
    return dims


def _block(cursor: Cursor, field: str) -> Block:
    at = cursor.pos
    type_id = cursor.i32(field)
    if type_id in GGML:
        return GGML[type_id]
    removed = f" ({REMOVED[type_id]}, removed from ggml)" if type_id in REMOVED else ""
    raise GGUFError(field, at, f"{type_id}{removed}", f"a live ggml type, 0 to {max(GGML)}")


def check_layout(
    entries: list[Entry], data_start: int, alignment: int, file_size: int
) -> list[str]:
    """Refuse tensors that are misaligned, overlap, go back or leave the file; return the notes.

    `data_start` is the aligned end of the directory. A gap is anything between the padded end of
    one tensor and the start of the next.
    """
    end = 0
    gaps: list[tuple[int, str]] = []
    for entry in entries:
        padded_end = end + -end % alignment
        _check_place(entry, padded_end, data_start, alignment, file_size)
        if entry.offset > padded_end:
            gaps.append((entry.offset - padded_end, entry.name))
        end = entry.offset + entry.n_bytes
    padded_end = end + -end % alignment
    return _notes(gaps, file_size - data_start - padded_end)


def _check_place(
    entry: Entry, lowest: int, data_start: int, alignment: int, file_size: int
) -> None:
    field = f"tensor {entry.name!r} offset"
    if entry.offset % alignment:
        raise GGUFError(field, entry.at, str(entry.offset), f"a multiple of {alignment}")
    if entry.offset < lowest:
        expected = f"at least {lowest}, past the tensor before it"
        raise GGUFError(field, entry.at, str(entry.offset), expected)
    start = data_start + entry.offset
    if entry.n_bytes > file_size - start:
        found = f"bytes {start} to {start + entry.n_bytes}"
        raise GGUFError(field, entry.at, found, f"an end within the file's {file_size} bytes")


def _notes(gaps: list[tuple[int, str]], trailing: int) -> list[str]:
    notes = []
    if gaps:
        total = sum(size for size, _ in gaps)
        notes.append(f"{len(gaps)} gaps of {total} bytes, the first before {gaps[0][1]!r}")
    if trailing > 0:
        notes.append(f"{trailing} bytes after the last tensor")
    return notes
