"""Load a tensor in tiles: its blocks are transposed by the thread team, straight from the file's map.

A type without a tile format of its own is dequantised to float32 tiles: the same numbers, more memory.
"""

from __future__ import annotations

import numpy as np

from ...formats.gguf import TensorInfo
from ...formats.ggml_types import BY_NAME
from ..matmul import Tiles
from ..pool import aligned
from ..quants.table import dequantize
from ..tape import Tape
from ..team import team
from .pack import U8, field_table, pack, tile_count
from .unpack import FORMATS


def load_tiles(tensor: TensorInfo, threads: int) -> Tiles:
    """Pack a tensor [rows, columns]. Raises ValueError if it has another number of dimensions."""
    if len(tensor.shape) != 2:
        raise ValueError(f"{tensor.name}: {len(tensor.shape)} dimensions, expected a matrix")
    rows, columns = tensor.shape
    kind, data = tensor.type, tensor.data
    if kind.name not in FORMATS:
        data = dequantize(data, kind, tensor.shape).reshape(-1).view(np.uint8)
        kind = BY_NAME["f32"]
    form = FORMATS[kind.name]
    units = -(-columns // form.columns)
    blocks = _whole_units(data.reshape(rows, -1), units * form.columns // kind.elements * kind.bytes)
    tiles = aligned(tile_count(rows) * units * form.unit_bytes)
    table = field_table(form.fields)
    unit_size = blocks.shape[1] // units
    values = (blocks, tiles, table, len(table), rows, units, unit_size, form.unit_bytes)
    tape = Tape()
    tape.emit(pack, 4 * threads, values, [], [tiles])
    with team().lock:
        tape.run(team(), threads)
    return Tiles(form, tiles, rows, columns)


def _whole_units(rows: U8, row_bytes: int) -> U8:
    """Rows filled up with zero bytes to whole units; the map itself where they are whole already."""
    if rows.shape[1] == row_bytes:
        return rows
    filled = np.zeros((len(rows), row_bytes), np.uint8)
    filled[:, : rows.shape[1]] = rows
    return filled
