"""F32, F16, BF16, F64: exact values, little-endian, rounded only where float32 is too short."""

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from gnomon.kernels.quants.floats import bf16_ref, f16_ref, f32_ref, f64_ref


def as_blocks(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    return values.view(np.uint8).reshape(len(values), values.dtype.itemsize)


def test_f32_keeps_every_bit() -> None:
    bits = np.random.default_rng(1).integers(0, 1 << 32, 500, dtype=np.uint32)
    y = f32_ref(as_blocks(bits.astype("<u4")))
    np.testing.assert_array_equal(y[:, 0].view(np.uint32), bits)


def test_f16_is_exact_for_every_number() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    bits = bits[(bits & 0x7C00) != 0x7C00]
    exponent = (bits >> 10 & 31).astype(np.int64)
    fraction = (bits & 1023) + np.where(exponent == 0, 0, 1024)
    size = fraction * 2.0 ** (np.maximum(exponent, 1) - 25)
    expected = np.where(bits >> 15, -size, size)
    np.testing.assert_array_equal(f16_ref(as_blocks(bits.astype("<u2")))[:, 0], expected)


def test_bf16_is_the_top_half_of_a_float32() -> None:
    bits = np.arange(1 << 16, dtype=np.uint32)
    y = bf16_ref(as_blocks(bits.astype("<u2")))
    np.testing.assert_array_equal(y[:, 0].view(np.uint32), bits << 16)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (1 + 2.0**-24, 1.0),
        (1 + 3 * 2.0**-24, 1 + 2.0**-22),
        (1e-60, 0.0),
        (1e300, np.inf),
        (-np.inf, -np.inf),
    ],
)
def test_f64_rounds_to_nearest_ties_to_even(x: float, y: float) -> None:
    assert f64_ref(as_blocks(np.array([x], dtype="<f8")))[0, 0] == y


def test_f64_past_the_range_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f64_ref(as_blocks(np.array([1e300], dtype="<f8")))[0, 0] == np.inf


def test_the_result_is_new_memory() -> None:
    blocks = as_blocks(np.zeros(3, dtype="<f4"))
    assert not np.shares_memory(f32_ref(blocks), blocks)
