"""Loading: chunks, partial units, byte orders, types without a format, and the pages of the map."""

import mmap
from dataclasses import replace

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.quants.byte_order import swapped
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.tiles import load
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_experts, load_tiles
from gnomon.kernels.tiles.pack import pack_ref


def make_tensor(name, rows, columns, order="little"):
    block = BY_NAME[name]
    blocks = random_blocks(block, rows * columns // block.elements, np.random.default_rng(1))
    data = blocks.reshape(-1) if order == "little" else swapped(blocks.reshape(-1), block)
    return TensorInfo("w", block, (rows, columns), data, order)


@pytest.mark.parametrize("name", ["q4_0", "iq2_s", "f16"])
def test_chunks_and_threads_do_not_change_the_tiles(name, monkeypatch):
    tensor = make_tensor(name, 75, 512)
    want = load_tiles(tensor, 1).data.tobytes()
    monkeypatch.setattr(load, "CHUNK_BYTES", 1)
    assert load_tiles(tensor, 2).data.tobytes() == want


@pytest.mark.parametrize("name", ["iq1_m", "q4_0", "f32"])
def test_each_expert_starts_a_tile(name):
    whole = make_tensor(name, 3 * 21, 256)
    parts = np.split(whole.data, 3)
    stack = load_experts(replace(whole, shape=(3, 21, 256)), 2)
    one = [load_tiles(replace(whole, shape=(21, 256), data=part), 1).data for part in parts]
    assert (stack.count, stack.tiles.rows) == (3, 21)
    np.testing.assert_array_equal(stack.tiles.data, np.concatenate(one))


@pytest.mark.parametrize("name", FORMATS)
def test_big_endian_tensor_gives_the_little_endian_tiles(name):
    big, little = make_tensor(name, 16, 256, "big"), make_tensor(name, 16, 256)
    assert load_tiles(big, 1).data.tobytes() == load_tiles(little, 1).data.tobytes()


def test_last_unit_is_filled_up_with_zeros():
    tensor = make_tensor("f32", 16, 20)
    filled = np.zeros((16, 1, 128), np.uint8)
    filled[:, 0, :80] = tensor.data.reshape(16, 80)
    tiles = load_tiles(tensor, 1)
    assert tiles.blocks == 1
    np.testing.assert_array_equal(tiles.data, pack_ref(filled, FORMATS["f32"].fields).ravel())


def test_type_without_a_format_is_loaded_as_float32():
    tensor = make_tensor("i16", 16, 32)
    numbers = tensor.data.view(np.int16).astype(np.float32).reshape(16, 32)
    tiles = load_tiles(tensor, 1)
    assert tiles.format.name == "f32"
    np.testing.assert_array_equal(tiles.data.view(np.float32).reshape(32, 16), numbers.T)


def test_vector_is_refused():
    tensor = TensorInfo("blk.0.norm", BY_NAME["f32"], (4,), np.zeros(16, np.uint8), "little")
    with pytest.raises(ValueError, match=r"blk\.0\.norm: 1 dimensions, expected a matrix"):
        load_tiles(tensor, 1)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="needs madvise")
def test_pages_of_the_map_are_dropped_and_come_back(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(np.random.default_rng(1).bytes(1 << 22))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        data = np.frombuffer(mapping, np.uint8)
        before = data.sum(dtype=np.int64)
        full = resident(data)
        load.drop_pages(data[100:-100])
        assert resident(data) <= full - (1 << 21)
        assert data.sum(dtype=np.int64) == before
        del data


def test_memory_that_is_no_map_is_left_alone():
    data = np.arange(1 << 16, dtype=np.uint8)
    load.drop_pages(data)
    assert data.any()


def resident(data):
    """Resident bytes of the mapping that holds `data`, as Linux counts them."""
    here, inside = data.ctypes.data, False
    with open("/proc/self/smaps") as lines:
        for line in lines:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(part, 16) for part in head.split("-"))
                inside = low <= here < high
            elif inside and head == "Rss:":
                return int(line.split()[1]) * 1024
    pytest.skip("needs /proc/self/smaps")
