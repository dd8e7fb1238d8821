"""The table of formats: what it holds, and that unpacked weights are the twins' to the bit."""

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.activations import arrange
from gnomon.kernels.block_products import CODE_BYTES, PAIR_ROWS
from gnomon.kernels.isa import ISA, PAIRS
from gnomon.kernels.matmul import emit_matmul, rows_at_once
from gnomon.kernels.panels import panel_parts
from gnomon.kernels.pool import Pool
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.quants.table import dequantize
from gnomon.kernels.records import RECORD, Records
from gnomon.kernels.tape import Kernel, Tape
from gnomon.kernels.team import team
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_tiles

ACTIVATIONS = {"q8_1", "q8_k"}
NUMBERS = {"f64", "i8", "i16", "i32", "i64"}


def unpacked(tensor):
    """The weights as the float kernel sees them: products with rows of one 1 and zeros."""
    columns = tensor.shape[1]
    x, weight, tape, pool = np.eye(columns, dtype=np.float32), load_tiles(tensor, 1), Tape(), Pool()
    at_once = rows_at_once(columns)
    groups = -(-columns // at_once)
    record = pool.take((groups, weight.blocks, at_once * RECORD), np.uint8)
    values = (x, record, columns, columns, x.strides[0], at_once, groups, weight.blocks, 0.0)
    tape.emit(arrange, 1, values, [x], [record])
    out = emit_matmul(tape, pool, weight, record, columns, Records.FLOATS, 1)
    with team().lock:
        tape.run(team(), 1)
    return np.array(out).T


def test_every_weight_type_has_a_format():
    assert set(FORMATS) == set(BY_NAME) - ACTIVATIONS - NUMBERS


@pytest.mark.parametrize("name", FORMATS)
def test_unit_is_whole_blocks(name):
    assert FORMATS[name].columns % BY_NAME[name].elements == 0


@pytest.mark.parametrize("name", FORMATS)
def test_unpacked_weights_are_the_twins(name):
    block = BY_NAME[name]
    blocks = random_blocks(block, 19 * 512 // block.elements, np.random.default_rng(3))
    tensor = TensorInfo("w", block, (19, 512), blocks.reshape(-1), "little")
    np.testing.assert_array_equal(unpacked(tensor), dequantize(tensor.data, block, (19, 512)))


@pytest.mark.skipif(not PAIRS, reason=f"{ISA} takes codes of 8 bits")
@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.integer])
def test_no_code_is_larger_than_the_format_says(name):
    form, block = FORMATS[name], BY_NAME[name]
    blocks = random_blocks(block, 16 * 2 * form.columns // block.elements, np.random.default_rng(3))
    tensor = TensorInfo("w", block, (16, 2 * form.columns), blocks.reshape(-1), "little")
    weight, (store, _, size) = load_tiles(tensor, 1), panel_parts(form, Records.BYTES, PAIR_ROWS)
    per_unit, panels = form.columns // 32, np.zeros((weight.blocks, size), np.uint8)

    def body(part, parts, thread, tile, panel, blocks):
        for block in range(blocks):
            store(tile + block // per_unit * form_bytes, block % per_unit, panel + block * size)

    form_bytes = form.unit_bytes
    Kernel(f"test_codes_{name}", body).run(0, 1, weight.data, panels, weight.blocks)
    assert panels[:, :CODE_BYTES].max() == form.top


@pytest.mark.parametrize("exponents", [(0, 1, 2, 3), (250, 251, 126, 127)])
def test_mxfp4_scales_are_exact_at_the_ends_of_the_range(exponents):
    block = BY_NAME["mxfp4"]
    blocks = random_blocks(block, 4, np.random.default_rng(4))
    blocks[:, 0] = exponents
    tensor = TensorInfo("w", block, (4, 32), blocks.reshape(-1), "little")
    np.testing.assert_array_equal(unpacked(tensor), dequantize(tensor.data, block, (4, 32)))


def test_nvfp4_scales_are_exact_for_all_256_codes():
    block = BY_NAME["nvfp4"]
    blocks = random_blocks(block, 64, np.random.default_rng(5))
    blocks[:, :4] = np.arange(256).reshape(64, 4)
    tensor = TensorInfo("w", block, (64, 64), blocks.reshape(-1), "little")
    np.testing.assert_array_equal(unpacked(tensor), dequantize(tensor.data, block, (64, 64)))
