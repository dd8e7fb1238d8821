"""Q8_1: hand-worked blocks; neither gguf nor ggml dequantises it."""

import numpy as np

from gnomon.kernels.quants.q8_1 import dequantize_ref


def test_codes_are_signed_bytes_from_byte_4() -> None:
    # d = 0.5; q = 127, -128, -1, 0 ... 0, 3: y = 63.5, -64, -0.5, 0 ... 0, 1.5
    block = np.zeros((1, 36), dtype=np.uint8)
    block[0, :2] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 4:7] = [127, 128, 255]
    block[0, 35] = 3
    expected = np.zeros(32)
    expected[:3] = [63.5, -64.0, -0.5]
    expected[31] = 1.5
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


def test_the_stored_sum_is_not_used() -> None:
    block = np.ones((1, 36), dtype=np.uint8)
    other = block.copy()
    other[0, 2:4] = [0xFF, 0x7F]  # NaN
    np.testing.assert_array_equal(dequantize_ref(other), dequantize_ref(block))
