"""Packing moves bytes and nothing else: the kernel writes what the twin does."""

import numpy as np
import pytest

from gnomon.kernels.pool import aligned
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.pack import Field, field_table, pack, pack_ref, tile_count, unit_bytes


def packed(blocks, fields, parts=1):
    rows, units, size = blocks.shape
    tiles, table = aligned(tile_count(rows) * units * unit_bytes(fields)), field_table(fields)
    values = (blocks, tiles, table, len(table), rows, units, size, unit_bytes(fields))
    for part in range(parts):
        pack.run(part, parts, *values)
    return tiles


@pytest.mark.parametrize("rows", [1, 16, 35])
@pytest.mark.parametrize("name", FORMATS)
def test_kernel_writes_the_twins_bytes(name, rows):
    form = FORMATS[name]
    size = form.unit_bytes // 16
    blocks = np.random.default_rng(rows).integers(0, 256, (rows, 3, size), dtype=np.uint8)
    want = pack_ref(blocks, form.fields)
    np.testing.assert_array_equal(packed(blocks, form.fields), want.ravel())


@pytest.mark.parametrize(
    "field",
    [
        (0, 1, 2),
        (1, 5, 2),
        (0, 1, 1),
        (2, 3, 1),
        (0, 16, 1),
        (0, 7, 4),
        (0, 9, 2, 0x5A),
        (3, 6, 1, 0x80),
    ],
)
def test_any_count_size_and_flip_of_a_field(field):
    blocks = np.random.default_rng(2).integers(0, 256, (33, 2, 32), dtype=np.uint8)
    fields = (Field(*field),)
    np.testing.assert_array_equal(packed(blocks, fields), pack_ref(blocks, fields).ravel())


def test_parts_together_write_all_tiles():
    form = FORMATS["q4_k"]
    blocks = np.random.default_rng(3).integers(0, 256, (80, 1, 144), dtype=np.uint8)
    np.testing.assert_array_equal(packed(blocks, form.fields, 3), packed(blocks, form.fields))


def test_rows_beyond_the_last_are_zero():
    form = FORMATS["q8_0"]
    tile = pack_ref(np.full((1, 1, 34), 255, np.uint8), form.fields).reshape(-1)
    lanes = tile[32:].reshape(8, 16, 4)
    assert lanes[:, 0].all()
    assert not lanes[:, 1:].any()
