"""Load a tensor in tiles: the thread team transposes its blocks, straight from the file's map.

The work goes by chunks of rows. When a chunk is packed its pages of the map are dropped, so that
the file and the tiles are never in memory together; codebook types are expanded (`expand.py`) and
big-endian ones swapped chunk by chunk. A type without a tile format is dequantised to float32: the
same numbers, more memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ...formats.ggml_types import BY_NAME, Block
from ...formats.gguf import TensorInfo
from ..experts import Experts
from ..matmul import Tiles
from ..pool import aligned
from ..quants.byte_order import swapped
from ..quants.table import dequantize
from ..tape import Tape
from ..team import team
from .codes import TileFormat
from .expand import Expansion
from .formats import FORMATS
from .kept import Kept
from .pack import ROWS, U8, field_table, pack, tile_count

CHUNK_BYTES = 1 << 24
Take = Callable[[int], U8]  # memory for so many bytes


def load_tiles(
    tensor: TensorInfo, threads: int, kept: Kept | None = None, take: Take = aligned
) -> Tiles:
    """Pack a tensor [rows, columns] into memory that `take` gives, unless it is `kept`.

    Raises ValueError if it has another number of dimensions.
    """
    if len(tensor.shape) != 2:
        raise ValueError(f"{tensor.name}: {len(tensor.shape)} dimensions, expected a matrix")
    return load_experts(replace(tensor, shape=(1, *tensor.shape)), threads, kept, take).tiles


def load_experts(
    tensor: TensorInfo, threads: int, kept: Kept | None = None, take: Take = aligned
) -> Experts:
    """Pack a stack of matrices [count, rows, columns], each from a tile of its own on."""
    count, rows, columns = tensor.shape
    form = FORMATS.get(tensor.type.name, FORMATS["f32"])
    units = -(-columns // form.columns)
    size = count * tile_count(rows) * units * form.unit_bytes
    name, data = (kept or {}).get(tensor.name, ("", None))
    if data is not None and name == form.name and data.size == size:
        return Experts(Tiles(form, data, rows, columns), count)
    row_bytes = tensor.data.size // max(1, count * rows)
    tiles = take(size)
    to = tiles.reshape(count, tile_count(rows), units * form.unit_bytes)
    for matrix, data in zip(to, tensor.data.reshape(count, rows, row_bytes), strict=True):
        for start, stop in _chunks(rows, row_bytes):
            blocks = _blocks(data[start:stop], tensor, form, units, threads)
            _pack(blocks, matrix[start // ROWS :], form, threads)
            drop_pages(data[start:stop])
    return Experts(Tiles(form, tiles, rows, columns), count)


def _chunks(rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about CHUNK_BYTES, each but the last whole tiles."""
    step = max(1, CHUNK_BYTES // (ROWS * max(1, row_bytes))) * ROWS
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def _blocks(rows: U8, tensor: TensorInfo, form: TileFormat, units: int, threads: int) -> U8:
    """Rows as the packer reads them: [rows, units, bytes]."""
    kind, count = tensor.type, len(rows)
    if tensor.byte_order != "little":
        rows = swapped(rows.reshape(-1), kind).reshape(count, -1)
    if kind.name not in FORMATS:
        shape = (count, tensor.shape[2])
        rows = dequantize(rows.reshape(-1), kind, shape).view(np.uint8)
        kind = BY_NAME["f32"]
    if form.expand is not None:
        return expanded(rows, form.expand, kind, threads).reshape(count, units, -1)
    row_bytes = units * form.columns // kind.elements * kind.bytes
    return _whole_units(rows, row_bytes).reshape(count, units, -1)


def _whole_units(rows: U8, row_bytes: int) -> U8:
    """Rows filled up with zero bytes to whole units; the map itself where they are whole."""
    if rows.shape[1] == row_bytes:
        return rows
    filled = np.zeros((len(rows), row_bytes), np.uint8)
    filled[:, : rows.shape[1]] = rows
    return filled


def expanded(rows: U8, expand: Expansion, kind: Block, threads: int) -> U8:
    """Codebook blocks -> blocks of codes, U8[blocks, expand.bytes]."""
    count = rows.size // kind.bytes
    out = np.empty((count, expand.bytes), np.uint8)
    tape = Tape()
    values = (rows, out, expand.table() if expand.table else 0, count)
    tape.emit(expand.kernel, 8 * threads, values, [], [out])
    with team().lock:
        tape.run(team(), threads)
    return out


def _pack(blocks: U8, tiles: U8, form: TileFormat, threads: int) -> None:
    table = field_table(form.fields)
    rows, units, size = blocks.shape
    values = (blocks, tiles, table, len(table), rows, units, size, form.unit_bytes)
    tape = Tape()
    tape.emit(pack, 8 * threads, values, [], [tiles])
    with team().lock:
        tape.run(team(), threads)


def drop_pages(view: U8) -> None:
    """Let the system take back the whole pages of a file's map that `view` covers.

    They are read again from the file if they are used again.
    """
    owner: object = view
    while isinstance(owner, np.ndarray):
        owner = owner.base
    mapping = owner.obj if isinstance(owner, memoryview) else owner
    if not isinstance(mapping, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = view.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + view.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        mapping.madvise(mmap.MADV_DONTNEED, first, last - first)
