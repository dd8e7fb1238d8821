"""Safetensors: a JSON header that says where each tensor lies, then the tensors' bytes.

    u64 header size | {"name": {"dtype": "BF16", "shape": [..], "data_offsets": [from, to]}, ..} |
    data

Read through a memory map, because the library of that name gives no bfloat16 to NumPy. The header
is untrusted: sizes, overlaps with the end of the file and names are checked before anything is
used.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import SafetensorsError

MAX_HEADER: Final = 100_000_000  # the format's own limit
MAX_DIMS: Final = 8
# BF16 has no NumPy type: the upper half of a float32.
DTYPES: Final[Mapping[str, str]] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


@dataclass(frozen=True, eq=False)
class SafeTensor:
    """One tensor: its type's name, shape, and raw numbers as a view of the file."""

    dtype: str
    shape: tuple[int, ...]
    data: NDArray[Any]

    def float32(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Rows start..stop as float32 (all of them for a tensor without dimensions)."""
        part = self.data[start:stop] if self.shape else self.data
        if self.dtype == "BF16":
            return (part.astype(np.uint32) << 16).view(np.float32)
        return part.astype(np.float32)


def open_safetensors(path: Path) -> dict[str, SafeTensor]:
    """All tensors of a file by name, in the file's order. Raises SafetensorsError."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        room = path.stat().st_size - 8
        if not 2 <= size <= min(room, MAX_HEADER):
            raise SafetensorsError(
                f"{path.name}: header of {size} bytes, the file has {room} after 8"
            )
        header = _header(path, file.read(size))
    data = np.memmap(path, np.uint8, "r", 8 + size) if room > size else np.empty(0, np.uint8)
    return {
        name: _tensor(f"{path.name}: {name}", entry, data)
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"{path.name}: the header is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise SafetensorsError(
            f"{path.name}: the header is {type(header).__name__}, expected an object"
        )
    return header


def _tensor(where: str, entry: Any, data: NDArray[np.uint8]) -> SafeTensor:
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype: Any = fields.get("dtype")
    shape: Any = fields.get("shape")
    offsets: Any = fields.get("data_offsets")
    if dtype not in DTYPES:
        raise SafetensorsError(f"{where}: dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    if not _sizes(shape) or len(shape) > MAX_DIMS:
        raise SafetensorsError(f"{where}: shape {shape!r}, expected up to {MAX_DIMS} whole numbers")
    kind = np.dtype(DTYPES[dtype])
    wanted = math.prod(shape) * kind.itemsize
    if not _sizes(offsets) or len(offsets) != 2 or offsets[1] > len(data):
        raise SafetensorsError(f"{where}: offsets {offsets!r}, the data has {len(data)} bytes")
    if offsets[1] - offsets[0] != wanted:
        raise SafetensorsError(f"{where}: offsets {offsets}, expected {wanted} bytes for {shape}")
    raw = data[offsets[0] : offsets[1]]
    if offsets[0] % kind.itemsize:
        raw = raw.copy()
    return SafeTensor(dtype, tuple(shape), raw.view(kind).reshape(shape))


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
