"""The product in both modes: within the computed bound, and the same bytes however it is cut."""

from dataclasses import replace

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels import matmul
from gnomon.kernels.activation_words import WRITERS, quantise_words_ref
from gnomon.kernels.activations import SHARE, quantise_ref
from gnomon.kernels.dots import EVEN_FIRST
from gnomon.kernels.matmul import FEW, emit_matmul, matmul_ref, rows_at_once
from gnomon.kernels.pool import Pool
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.quants.table import dequantize
from gnomon.kernels.records import RECORD, Records
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_tiles

ROWS = 35  # three tiles, the last of three rows
MANY = FEW + 6  # rows of x that are multiplied by panels, the last group of two
INTEGER_RECORDS = (Records.BYTES, Records.WORDS)
INTEGER = [name for name, form in FORMATS.items() if form.integer]


def columns_of(name):
    """Two units; three of 32 columns; for floats a unit and a bit."""
    columns = FORMATS[name].columns
    return {32: 96, 64: 192}.get(columns, 2 * columns) if FORMATS[name].integer else 40


def make_tensor(name, rows, columns, seed=1):
    block = BY_NAME[name]
    blocks = random_blocks(block, rows * columns // block.elements, np.random.default_rng(seed))
    return TensorInfo("w", block, (rows, columns), blocks.reshape(-1), "little")


def make_x(rows, columns, seed=2):
    x = np.random.default_rng(seed).standard_normal((rows, columns), np.float32)
    x[:, ::50] *= 30  # blocks that one number dominates
    return x


def product(weight, x, records, threads=1):
    tape, pool, rows, at_once = Tape(), Pool(), len(x), rows_at_once(len(x))
    groups, blocks = -(-rows // at_once), weight.blocks
    record = pool.take((groups, blocks, RECORD * at_once), np.uint8)
    values = (x, record, rows, x.shape[1], x.strides[0], at_once, groups, blocks, SHARE)
    tape.emit(WRITERS[records], 1, values, [x], [record])
    out = emit_matmul(tape, pool, weight, record, rows, records, threads)
    with team().lock:
        tape.run(team(), threads)
    return np.array(out)


def rounded(x, records):
    """What integer records say x is, in float64."""
    blocks = -(-x.shape[1] // 32)
    if records is Records.WORDS:
        words = quantise_words_ref(x, 1).reshape(len(x), blocks, 96)
        codes = words[..., :64].copy().view(np.int16).reshape(len(x), blocks, 8, 4)[..., EVEN_FIRST]
        scales = words[..., 64:68].copy().view(np.float32).astype(np.float64)
        return (codes.reshape(len(x), blocks, 32) * scales).reshape(len(x), -1)[:, : x.shape[1]]
    levels = quantise_ref(x, 1).reshape(len(x), 2, blocks, RECORD // 2)
    codes = levels[..., :32].view(np.int8).astype(np.float64)
    scales = levels[..., 32:36].copy().view(np.float32)
    return (codes * scales).sum(1).reshape(len(x), -1)[:, : x.shape[1]]


@pytest.mark.parametrize("name", FORMATS)
def test_float_product_is_within_its_rounding_bound(name):
    tensor, x = make_tensor(name, ROWS, columns_of(name)), make_x(1, columns_of(name))
    weight = dequantize(tensor.data, tensor.type, tensor.shape)
    exact = np.empty((1, ROWS))
    matmul_ref(weight, x.astype(np.float64), exact)
    roundings = 16 + 2 + columns_of(name) // 32 + 1  # a chain, two sums, one per block
    bound = roundings * 2.0**-24 * (np.abs(x).astype(np.float64) @ np.abs(weight).T)
    error = np.abs(product(load_tiles(tensor, 1), x, Records.FLOATS) - exact)
    assert (error <= bound).all()


@pytest.mark.parametrize("records", INTEGER_RECORDS)
@pytest.mark.parametrize("name", INTEGER)
def test_integer_product_is_within_its_rounding_bound(name, records):
    tensor, x = make_tensor(name, ROWS, columns_of(name)), make_x(1, columns_of(name))
    weight = dequantize(tensor.data, tensor.type, tensor.shape).astype(np.float64)
    exact = np.einsum("nk,k->n", weight, rounded(x, records)[0])
    blocks = columns_of(name) // 32
    # scale * code and minimum are each at most twice the block's largest weight: all codes occur
    largest = np.abs(weight).reshape(ROWS, blocks, 32).max(2).repeat(32, 1)
    roundings = 2 * 2 * 4 * blocks  # levels, groups, and two products with their sums
    bound = roundings * 2.0**-24 * (4 * largest @ np.abs(x[0].astype(np.float64)))
    error = np.abs(product(load_tiles(tensor, 1), x, records)[0] - exact)
    assert (error <= bound).all()


@pytest.mark.parametrize("name", ["q8_0", "q6_k", "q4_1"])  # by sign, in pairs, with a minimum
def test_16_bits_are_nearer_to_the_exact_product_than_8(name):
    columns = columns_of(name)
    tensor, x = make_tensor(name, ROWS, columns), np.random.default_rng(3).random((1, columns))
    exact, x = np.empty((1, ROWS)), x.astype(np.float32)
    matmul_ref(dequantize(tensor.data, tensor.type, tensor.shape), x.astype(np.float64), exact)
    weight = load_tiles(tensor, 1)
    error = [np.linalg.norm(product(weight, x, kind) - exact) for kind in INTEGER_RECORDS]
    assert 50 * error[1] < error[0]  # 254 times as many steps, but for the float32 sums


def assert_same_bytes(name, records, cuts):
    weight = load_tiles(make_tensor(name, ROWS, columns_of(name)), 2)
    x = make_x(MANY, columns_of(name))
    want = product(weight, x, records, threads=2)
    for rows, threads in cuts:
        weight = replace(weight, stays=not weight.stays)
        assert product(weight, x[:rows], records, threads).tobytes() == want[:rows].tobytes()


@pytest.mark.parametrize("name", INTEGER)
def test_int8_bytes_do_not_depend_on_rows_or_threads(name):
    cuts = ((1, 1), (1, 2), (2, 1), (3, 2), (4, 1), (8, 2), (21, 1), (MANY, 1))
    assert_same_bytes(name, Records.BYTES, cuts)


@pytest.mark.parametrize("name", INTEGER)
def test_int16_bytes_do_not_depend_on_rows_or_threads(name):
    assert_same_bytes(name, Records.WORDS, ((1, 2), (3, 1), (8, 2), (MANY, 1)))


@pytest.mark.parametrize("name", FORMATS)
def test_float32_bytes_do_not_depend_on_rows_or_threads(name):
    assert_same_bytes(name, Records.FLOATS, ((1, 1), (1, 2), (MANY, 1)))


def test_float32_bytes_of_tiles_are_those_of_panels(monkeypatch):
    weight, x = load_tiles(make_tensor("f16", ROWS, 40), 2), make_x(MANY, 40)
    found = []
    for straight in ((), ("f16",)):
        monkeypatch.setattr(matmul, "STRAIGHT", straight)
        found.append(product(weight, x, Records.FLOATS, threads=2).tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["f16", "q4_0", "q4_1", "q6_k"])  # each way to write a weight
def test_float32_bytes_of_few_rows_are_those_of_many(name):
    assert_same_bytes(name, Records.FLOATS, ((2, 1), (3, 2), (4, 1), (8, 2), (21, 1)))
