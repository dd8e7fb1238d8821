"""Big-endian blocks: what `gguf_convert_endian.py` writes is undone."""

from dataclasses import replace

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.ops import embedding_rows
from gnomon.kernels.quants.byte_order import WIDE, little_endian, swapped
from gnomon.kernels.quants.random_blocks import random_blocks

# The bytes of a block that gguf_convert_endian.py (gguf 0.17) reverses, as slices.
CONVERTED = {"q4_0": [(0, 2)], "q8_0": [(0, 2)], "q4_k": [(0, 2), (2, 4)], "q6_k": [(208, 210)]}


@pytest.mark.parametrize("name", CONVERTED)
def test_fields_are_those_of_the_converter(name):
    block = BY_NAME[name]
    blocks = random_blocks(block, 3, np.random.default_rng(1))
    want = blocks.copy()
    for start, stop in CONVERTED[name]:
        want[:, start:stop] = want[:, start:stop][:, ::-1]
    np.testing.assert_array_equal(swapped(blocks.reshape(-1), block), want.ravel())


@pytest.mark.parametrize("name", BY_NAME)
def test_swapping_twice_changes_nothing(name):
    block = BY_NAME[name]
    data = np.random.default_rng(2).integers(0, 256, 4 * block.bytes, dtype=np.uint8)
    np.testing.assert_array_equal(swapped(swapped(data, block), block), data)


@pytest.mark.parametrize("name", WIDE)
def test_fields_lie_inside_the_block_and_apart(name):
    spans = [
        byte for first, count, size in WIDE[name] for byte in range(first, first + count * size)
    ]
    assert len(set(spans)) == len(spans)
    assert max(spans) < BY_NAME[name].bytes


def test_little_endian_tensor_is_the_map_itself():
    data = np.zeros(18, np.uint8)
    assert little_endian(TensorInfo("w", BY_NAME["q4_0"], (1, 32), data, "little")) is data


def test_big_endian_floats():
    data = np.arange(4, dtype=">f4").view(np.uint8)
    tensor = TensorInfo("w", BY_NAME["f32"], (4,), data, "big")
    np.testing.assert_array_equal(little_endian(tensor).view("<f4"), [0, 1, 2, 3])


def test_part_of_a_block_is_refused():
    with pytest.raises(ValueError, match="q4_0: 17 bytes, expected a multiple of 18"):
        swapped(np.zeros(17, np.uint8), BY_NAME["q4_0"])


def test_embedding_rows_of_a_big_endian_table_are_the_little_endian_ones() -> None:
    block, tokens = BY_NAME["q4_k"], np.array([3, 1])
    data = random_blocks(block, 10, np.random.default_rng(1)).reshape(-1)
    little = TensorInfo("token_embd", block, (10, 256), data, "little")
    big = replace(little, data=swapped(data, block), byte_order="big")
    np.testing.assert_array_equal(embedding_rows(big, tokens), embedding_rows(little, tokens))
