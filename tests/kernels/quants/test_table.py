"""Every type, one table: bit for bit the gguf package's numbers and ggml's, for any block count."""

import warnings
from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from gnomon.formats.ggml_types import BY_NAME, Block
from gnomon.kernels.quants import table
from gnomon.kernels.quants.table import DEQUANTIZE_REF, dequantize

U8 = NDArray[np.uint8]

GOLDEN = np.load(Path(__file__).parent / "golden" / "ggml_blocks.npz")
GOLDEN_TYPES = sorted(key.removesuffix(".y") for key in GOLDEN if key.endswith(".y"))

# Where each type that the gguf package knows keeps float16 scales.
HALVES = {
    "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_k": [80, 82],
    "q3_k": [108], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "iq1_s": [0], "iq1_m": [],
    "iq2_xxs": [0], "iq2_xs": [0], "iq2_s": [0], "iq3_xxs": [0], "iq3_s": [0], "iq4_nl": [0],
    "iq4_xs": [0], "tq1_0": [52], "tq2_0": [64], "mxfp4": [], "nvfp4": [], "bf16": [], "f16": [0],
    "f32": [],
}  # fmt: skip

# Zeros, smallest and largest subnormals, smallest normals, ones, largest numbers.
EDGES = [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF]


def finite_halves(n: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    sizes = rng.integers(0, 0x7C00, n, dtype=np.uint16)
    edges = rng.random(n) < 0.3
    sizes[edges] = rng.choice(np.array(EDGES, dtype=np.uint16), edges.sum())
    return sizes | rng.integers(0, 2, n, dtype=np.uint16) << np.uint16(15)


def blocks_with_finite_scales(name: str, n: int, seed: int) -> U8:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (n, BY_NAME[name].bytes), dtype=np.uint8)
    for offset in HALVES[name]:
        halves = finite_halves(n, rng).astype("<u2")
        blocks[:, offset : offset + 2] = halves.view(np.uint8).reshape(n, 2)
    if name == "iq1_m":
        nibbles = finite_halves(n, rng)[:, None] >> np.array([0, 4, 8, 12], dtype=np.uint16) & 15
        blocks[:, 49::2] = blocks[:, 49::2] & 15 | nibbles.astype(np.uint8) << 4
    return blocks


def assert_same_bits(got: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


def test_every_type_has_a_dequantiser() -> None:
    assert set(DEQUANTIZE_REF) == set(BY_NAME)


@pytest.mark.parametrize("name", HALVES)
def test_random_blocks_equal_the_gguf_package_bit_for_bit(name: str) -> None:
    block = BY_NAME[name]
    blocks = blocks_with_finite_scales(name, 2003, seed=1234)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType(block.id))
    assert_same_bits(DEQUANTIZE_REF[name](blocks), expected.reshape(2003, block.elements))


@pytest.mark.parametrize("name", GOLDEN_TYPES)
def test_quantised_weights_equal_ggml_bit_for_bit(name: str) -> None:
    assert_same_bits(DEQUANTIZE_REF[name](GOLDEN[f"{name}.blocks"]), GOLDEN[f"{name}.y"])


def test_ggml_covers_every_quantised_type_but_q8_1() -> None:
    plain = {"f32", "f64", "i8", "i16", "i32", "i64"}
    assert set(GOLDEN_TYPES) == set(BY_NAME) - plain - {"q8_1"}


@pytest.mark.parametrize("name", DEQUANTIZE_REF)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_each_block_stands_alone(name: str, n: int) -> None:
    block = BY_NAME[name]
    blocks = np.random.default_rng(77).integers(0, 256, (n, block.bytes), dtype=np.uint8)
    y = DEQUANTIZE_REF[name](blocks)
    assert y.shape == (n, block.elements)
    for i in range(n):
        assert_same_bits(y[i : i + 1], DEQUANTIZE_REF[name](blocks[i : i + 1]))


@pytest.mark.parametrize("name", DEQUANTIZE_REF)
@pytest.mark.parametrize("half", [0x7C00, 0xFC00, 0x7C01, 0x7E00])
def test_infinite_and_nan_scales_give_no_warning(name: str, half: int) -> None:
    words = np.full(BY_NAME[name].bytes * 50, half, dtype="<u2")
    blocks = words.view(np.uint8).reshape(100, BY_NAME[name].bytes)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        y = DEQUANTIZE_REF[name](blocks)
    assert y.shape == (100, BY_NAME[name].elements)


def test_an_infinite_scale_shows_in_the_result() -> None:
    blocks = np.full((1, 18), 0x88, dtype=np.uint8)  # q = 8: Inf * 0 is NaN
    blocks[0, :2] = [0x00, 0x7C]
    blocks[0, 2] = 0x9F
    y = DEQUANTIZE_REF["q4_0"](blocks)[0]
    assert y[0] == np.inf
    assert np.isnan(y[1])


@pytest.mark.parametrize("name", DEQUANTIZE_REF)
def test_a_tensor_is_its_blocks_in_order(name: str) -> None:
    block = BY_NAME[name]
    shape = (3, 2, 2 * block.elements)
    blocks = np.random.default_rng(5).integers(0, 256, (12, block.bytes), dtype=np.uint8)
    y = dequantize(blocks.reshape(-1), block, shape)
    assert y.shape == shape
    assert_same_bits(y.reshape(12, -1), DEQUANTIZE_REF[name](blocks))


def test_a_tensor_of_many_chunks_is_its_blocks_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 100)  # three blocks of 32
    blocks = np.random.default_rng(6).integers(0, 128, (10, 34), dtype=np.uint8)
    y = dequantize(blocks.reshape(-1), BY_NAME["q8_0"], (10, 32))
    assert_same_bits(y, DEQUANTIZE_REF["q8_0"](blocks))


@pytest.mark.parametrize("shape", [(0,), (0, 256), (5, 0), (0, 100, 256)])
def test_an_empty_tensor_is_empty(shape: tuple[int, ...]) -> None:
    assert dequantize(np.empty(0, dtype=np.uint8), BY_NAME["q4_k"], shape).shape == shape


def test_no_dimensions_are_one_number() -> None:
    data = np.array([1.5], dtype="<f4").view(np.uint8)
    assert dequantize(data, BY_NAME["f32"], ()) == np.float32(1.5)


def test_strided_bytes_are_read_in_order() -> None:
    data = np.random.default_rng(8).integers(0, 128, 2 * 34 * 3, dtype=np.uint8)
    y = dequantize(data[::2], BY_NAME["q8_0"], (3, 32))
    assert_same_bits(y, dequantize(data[::2].copy(), BY_NAME["q8_0"], (3, 32)))


def test_read_only_bytes_give_a_writable_tensor() -> None:
    data = np.frombuffer(bytes(16), dtype=np.uint8)
    y = dequantize(data, BY_NAME["f32"], (4,))
    assert y.flags.writeable


@pytest.mark.parametrize(
    ("data", "shape", "message"),
    [
        (np.empty(35, np.uint8), (1, 32), "q8_0 data: found 35 bytes, expected 34 for shape"),
        (np.empty(33, np.uint8), (1, 32), "q8_0 data: found 33 bytes, expected 34 for shape"),
        (np.empty(34, np.uint8), (1 << 40, 1 << 40), "found 34 bytes, expected 128448"),
        (np.empty(34, np.uint8), (32, 1), "found 1 weights, expected a multiple of 32"),
        (np.empty(34, np.uint8), (), "found 1 weights, expected a multiple of 32"),
        (np.empty(34, np.uint8), (-1, -32), "found .-1, -32., expected no negative size"),
        (np.empty(34, np.int8), (1, 32), "found int8 with 1 dimensions, expected uint8 with 1"),
        (np.empty((1, 34), np.uint8), (1, 32), "found uint8 with 2 dimensions, expected uint8"),
    ],
)
def test_what_does_not_fit_is_refused(data: U8, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dequantize(data, BY_NAME["q8_0"], shape)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="found 'q9_9', expected one of f32 f16 bf16"):
        dequantize(np.empty(4, np.uint8), Block(99, "q9_9", 1, 4), (1,))
