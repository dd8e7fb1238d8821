"""Random blocks: any type, finite, of the size asked for, the same for the same seed."""

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME, Block
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.quants.table import DEQUANTIZE_REF

WEIGHT_TYPES = [name for name in BY_NAME if name not in ("i8", "i16", "i32", "i64")]


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_type_gives_n_blocks(name: str, n: int) -> None:
    blocks = random_blocks(BY_NAME[name], n, np.random.default_rng(1))
    assert blocks.shape == (n, BY_NAME[name].bytes)
    assert blocks.dtype == np.uint8


@pytest.mark.parametrize("name", WEIGHT_TYPES)
@pytest.mark.parametrize("largest", [2.0**-6, 0.3, 1.0, 2.0**6])
def test_weights_reach_about_the_largest_on_both_sides(name: str, largest: float) -> None:
    blocks = random_blocks(BY_NAME[name], 1000, np.random.default_rng(2), largest=largest)
    y = DEQUANTIZE_REF[name](blocks) / largest
    assert 0.5 < y.max() < 1.02
    assert -1.02 < y.min() < -0.5


@pytest.mark.parametrize("name", BY_NAME)
def test_the_seed_decides_every_byte(name: str) -> None:
    first, again, other = (
        random_blocks(BY_NAME[name], 64, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4"])
def test_fp4_blocks_differ_in_scale(name: str) -> None:
    blocks = random_blocks(BY_NAME[name], 100, np.random.default_rng(5))
    assert len(np.unique(blocks[:, 0])) > 1


def test_q8_1_stores_the_sum_that_its_codes_have() -> None:
    blocks = random_blocks(BY_NAME["q8_1"], 100, np.random.default_rng(6))
    total = DEQUANTIZE_REF["q8_1"](blocks).sum(axis=1, dtype=np.float64)
    stored = blocks[:, 2:4].copy().view("<f2")[:, 0]
    np.testing.assert_allclose(stored, total, rtol=2.0**-10)


def test_q8_k_stores_the_sums_that_its_codes_have() -> None:
    blocks = random_blocks(BY_NAME["q8_k"], 100, np.random.default_rng(7))
    codes = blocks[:, 4:260].view(np.int8).astype(np.int64)
    stored = blocks[:, 260:].copy().view("<i2")
    np.testing.assert_array_equal(stored, codes.reshape(100, 16, 16).sum(axis=2))


def test_tq1_0_uses_only_bytes_that_a_quantiser_writes() -> None:
    blocks = random_blocks(BY_NAME["tq1_0"], 500, np.random.default_rng(8))
    numbers = np.arange(243)
    written = {int(np.ceil(number * 256 / 243)) for number in numbers}
    assert set(np.unique(blocks[:, :48]).tolist()) == written


def test_tq2_0_has_only_three_values() -> None:
    blocks = random_blocks(BY_NAME["tq2_0"], 1, np.random.default_rng(9))
    assert len(np.unique(DEQUANTIZE_REF["tq2_0"](blocks))) == 3


def test_integers_are_small() -> None:
    blocks = random_blocks(BY_NAME["i64"], 1000, np.random.default_rng(10))
    assert np.abs(DEQUANTIZE_REF["i64"](blocks)).max() == 100


@pytest.mark.parametrize("largest", [0.0, 1e-3, 65.0, -1.0, np.inf, np.nan])
def test_a_size_out_of_range_is_refused(largest: float) -> None:
    with pytest.raises(ValueError, match=r"largest: found .*, expected 0\.015625 to 64\.0"):
        random_blocks(BY_NAME["q4_0"], 1, np.random.default_rng(11), largest=largest)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor type: found 'q9_9'"):
        random_blocks(Block(99, "q9_9", 1, 4), 1, np.random.default_rng(12))
