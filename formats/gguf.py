"""GGUF versions 2 and 3, either byte order, one file or a split: metadata, and tensors as views.

    "GGUF"  version u32  n_tensors u64  n_kv u64 | n_kv entries | n_tensors entries | pad | data

Files are input from strangers: every length is checked before use, every tensor's range before any
tensor is mapped, and whatever is wrong is one GGUFError. The limit of a memory map: a file that
another process shrinks or rewrites after opening changes under the views, and reading past its new
end kills the process; `GGUFFile.check_unchanged` looks again before long use.
"""

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from .cursor import STRUCT_ORDER, ByteOrder, Cursor, Limits
from .errors import GGUFError, shown
from .ggml_types import Block
from .metadata import Metadata
from .splits import check_part, check_total, part_paths
from .tensor_directory import MIN_ENTRY_BYTES as MIN_TENSOR_BYTES
from .tensor_directory import Entry, check_layout, read_entries
from .values import ALIGNMENT_KEY, DEFAULT_ALIGNMENT, read_values
from .values import MIN_ENTRY_BYTES as MIN_KV_BYTES

U8 = NDArray[np.uint8]
# Size in bytes and time of last change in ns.
Stamp = tuple[int, int]

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
HEADER_BYTES: Final = 4 + 4 + 8 + 8
DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, eq=False, slots=True)
class TensorInfo:
    """One tensor: `shape` slowest first (GGUF's dims reversed), `data` its bytes in the map.

    `data` is a read-only uint8[n_bytes] view, aligned only as far as `general.alignment` (maybe 1).
    It is never swapped. With `byte_order` "big" each stored field of more than one byte is
    big-endian: the elements of f32, f16, bf16, f64 and the integers, and inside a quantised block
    each f16 scale and each code wider than a byte, as ggml's structs lie on such a machine and as
    gguf_convert_endian.py writes Q4_0, Q8_0, Q4_K and Q6_K (MXFP4 and NVFP4 hold single bytes; it
    refuses the other types). GGUFWriter itself swaps nothing inside blocks handed to it as bytes.
    """

    name: str
    type: Block
    shape: tuple[int, ...]
    data: U8 = field(repr=False)
    byte_order: ByteOrder


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """One parsed file of a model."""

    path: Path
    mapping: mmap.mmap
    stamp: Stamp
    byte_order: ByteOrder
    version: int
    metadata: Metadata
    entries: list[Entry]
    data_start: int
    notes: list[str]


class GGUFFile:
    """An open model: `metadata` and `tensors` (name -> TensorInfo, in file order) of all its files.

    `notes` tells of what was odd but harmless. `size_bytes` is the size of all files, `stamps` has
    size and time of last change (ns) of each. After `close()` there are no tensors; the memory goes
    when the last view of it does.
    """

    def __init__(self, parts: list[_Part]) -> None:
        self.path = parts[0].path
        self.paths = [part.path for part in parts]
        self.version = parts[0].version
        self.metadata = parts[0].metadata
        self.tensors = _tensors(parts)
        self.size_bytes = sum(len(part.mapping) for part in parts)
        self.notes = [f"{part.path.name}: {note}" for part in parts for note in part.notes]
        self._mappings = [part.mapping for part in parts]
        self.stamps = {part.path: part.stamp for part in parts}

    def check_unchanged(self) -> None:
        """Raise GGUFError if a file's size or time is not what it was when it was opened."""
        for path, opened in self.stamps.items():
            with _naming(path):
                _check_stamp(path, opened)

    def close(self) -> None:
        """Drop the tensors and unmap the files that nobody views any more."""
        self.tensors = {}
        for mapping in self._mappings:
            # Somebody holds a view: the map is freed with the last one.
            with suppress(BufferError):
                mapping.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_gguf(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> GGUFFile:
    """Open a model by its only or first file; the other parts of a split are found beside it.

    Links are followed, split parts are looked for beside the link. Raises GGUFError for anything
    that is not a whole, valid GGUF model, a missing file or a directory included.
    """
    first_path = Path(path)
    with ExitStack() as mappings:
        parts = [_read_part(first_path, limits, mappings)]
        with _naming(first_path):
            paths = part_paths(first_path, parts[0].metadata)
        parts += [_read_part(other, limits, mappings) for other in paths[1:]]
        if len(parts) > 1:
            _check_parts(parts)
        mappings.pop_all()
    return GGUFFile(parts)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name `path` in the errors raised inside."""
    try:
        yield
    except GGUFError as error:
        error.path = str(path)
        raise


def _read_part(path: Path, limits: Limits, mappings: ExitStack) -> _Part:
    with _naming(path):
        mapping, stamp = _map(path)
        mappings.callback(mapping.close)
        byte_order, version = _version(mapping)
        cursor = Cursor(mapping, byte_order, limits)
        cursor.take(len(MAGIC) + 4, "header")
        n_tensors = cursor.count("n_tensors", limits.tensors, MIN_TENSOR_BYTES)
        n_kv = cursor.count("n_kv", limits.kv, MIN_KV_BYTES)
        metadata = Metadata(read_values(cursor, n_kv))
        entries = read_entries(cursor, n_tensors)
        alignment = metadata.integer(ALIGNMENT_KEY, DEFAULT_ALIGNMENT)
        data_start = cursor.pos + -cursor.pos % alignment
        notes = check_layout(entries, data_start, alignment, len(mapping))
    return _Part(path, mapping, stamp, byte_order, version, metadata, entries, data_start, notes)


def _map(path: Path) -> tuple[mmap.mmap, Stamp]:
    # O_NONBLOCK: opening a FIFO must not wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        mapping = mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ)
    except GGUFError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)
    return mapping, _stamp(status)


def _unreadable(error: Exception) -> GGUFError:
    reason = error.strerror if isinstance(error, OSError) else None
    return GGUFError("file", None, reason or str(error), "a readable file")


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO"}
        found = kinds.get(stat.S_IFMT(status.st_mode), "a device or socket")
        raise GGUFError("file", None, found, "a regular file")
    if status.st_size < HEADER_BYTES:
        raise GGUFError("header", 0, f"{status.st_size} bytes", f"at least {HEADER_BYTES}")


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns


def _check_stamp(path: Path, opened: Stamp) -> None:
    try:
        now = _stamp(path.stat())
    except OSError as error:
        raise _unreadable(error) from error
    if now != opened:
        raise GGUFError("size and time", None, str(now), f"{opened}, as when opened")


def _version(mapping: mmap.mmap) -> tuple[ByteOrder, int]:
    if mapping[:4] != MAGIC:
        raise GGUFError("magic", 0, shown(mapping[:4]), repr(MAGIC))
    # The magic reads the same in both byte orders; the version tells them apart.
    for byte_order in STRUCT_ORDER:
        version = int.from_bytes(mapping[4:8], byte_order)
        if version in VERSIONS:
            return byte_order, version
    found = str(int.from_bytes(mapping[4:8], "little"))
    raise GGUFError("version", 4, found, "2 or 3, in either byte order")


def _check_parts(parts: list[_Part]) -> None:
    first_place: dict[str, Path] = {}
    for index, part in enumerate(parts):
        with _naming(part.path):
            check_part(part.metadata, index, len(parts))
            for entry in part.entries:
                if entry.name in first_place:
                    found = f"the same name in {first_place[entry.name].name!r}"
                    expected = "each name once in all parts"
                    raise GGUFError(f"tensor {entry.name!r} name", entry.at, found, expected)
                first_place[entry.name] = part.path
    with _naming(parts[0].path):
        check_total(parts[0].metadata, len(first_place))


def _tensors(parts: list[_Part]) -> dict[str, TensorInfo]:
    tensors = {}
    for part in parts:
        data = np.frombuffer(part.mapping, np.uint8)
        for entry in part.entries:
            start = part.data_start + entry.offset
            view = data[start : start + entry.n_bytes]
            tensors[entry.name] = TensorInfo(
                entry.name, entry.block, entry.shape, view, part.byte_order
            )
    return tensors
