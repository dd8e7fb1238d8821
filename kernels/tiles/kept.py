"""Packed weights kept on disk: later loads map them in place of packing (`gnomon warm --tiles`).

    "gnomtile"  header bytes u64  header JSON  | tiles, each from a multiple of 64 bytes on

The header says which kernels packed which files (path, size, time of last change), and of each
tensor its tile format, offset and size. What other kernels or files made, or is shorter than it
says, is not used. The map's pages are shared by all processes, and the system may take them back.
Whoever writes tiles deletes those of files that are gone or changed.

A load then costs what mapping the file costs: memory that nobody has touched yet takes 0.3 to 3
seconds per GB on a virtual machine, packing itself 0.1.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._jit import cache_root, source_digest

U8 = NDArray[np.uint8]
Kept = dict[str, tuple[str, U8]]  # tensor name -> format name and tiles
MAGIC, ALIGN = b"gnomtile", 64
UNUSABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
MOST_HEADER_BYTES = 1 << 26


def kept_path(model: Path) -> Path:
    """Where the tiles of the model at `model` are kept, if they are."""
    name = hashlib.sha256(str(model.resolve()).encode()).hexdigest()[:24]
    return cache_root() / "tiles" / f"{name}.tiles"


def write_kept(path: Path, stamps: Mapping[Path, tuple[int, int]], tiles: Kept) -> int:
    """Write the tiles of files of these sizes and times; returns the bytes written.

    Another process sees the old file or the whole new one. Stale ones beside it are deleted.
    Raises OSError.
    """
    entries, end = {}, 0
    for name, (form, data) in tiles.items():
        entries[name] = form, end, data.nbytes
        end += -(-data.nbytes // ALIGN) * ALIGN
    header = json.dumps({"made": _made(stamps), "tiles": entries}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            start = -(-(len(MAGIC) + 8 + len(header)) // ALIGN) * ALIGN
            file.write((MAGIC + len(header).to_bytes(8, "little") + header).ljust(start, b"\0"))
            for _, data in tiles.values():
                file.write(data.data)
                file.write(bytes(-data.nbytes % ALIGN))
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    _forget_stale(path.parent)
    return start + end


def read_kept(path: Path, stamps: Mapping[Path, tuple[int, int]]) -> Kept:
    """What was kept of these files, as views of the map; nothing if that cannot be used."""
    with suppress(*UNUSABLE), open(path, "rb") as file:
        header = _read_header(file)
        if header["made"] == _made(stamps):  # else nothing is mapped, which reads it all
            start = -(-file.tell() // ALIGN) * ALIGN
            data = np.frombuffer(_map(file.fileno()), np.uint8)[start:]
            return {name: _view(data, *entry) for name, entry in header["tiles"].items()}
    return {}


def _read_header(file: BinaryIO) -> dict[str, Any]:
    """The header of an open file; one of UNUSABLE if it has none."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError(f"no {MAGIC!r}")
    size = int.from_bytes(file.read(8), "little")
    header: dict[str, Any] = json.loads(file.read(min(size, MOST_HEADER_BYTES)))
    return header


def _forget_stale(folder: Path) -> None:
    for path in folder.glob("*.tiles"):
        with suppress(*UNUSABLE):
            with open(path, "rb") as file:
                files = _read_header(file)["made"]["files"]
            if any(_is_stale(Path(name), tuple(stamp)) for name, *stamp in files):
                path.unlink()


def _is_stale(model: Path, stamp: tuple[int, ...]) -> bool:
    """Whether it changed, or is gone from a folder that is there (a disk may not be)."""
    try:
        status = model.stat()
    except FileNotFoundError:
        return model.parent.is_dir()
    return (status.st_size, status.st_mtime_ns) != stamp


def _made(stamps: Mapping[Path, tuple[int, int]]) -> dict[str, Any]:
    files = [[str(path.resolve()), *stamp] for path, stamp in stamps.items()]
    return {"kernels": source_digest(), "files": files}


def _map(descriptor: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_POPULATE"):
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    return mmap.mmap(descriptor, 0, flags=flags, prot=mmap.PROT_READ)


def _view(data: U8, form: str, start: int, size: int) -> tuple[str, U8]:
    if not 0 <= start <= start + size <= len(data):
        raise ValueError(f"tiles at {start}, {size} bytes, of {len(data)}")
    return form, data[start : start + size]
