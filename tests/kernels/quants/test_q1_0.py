"""Q1_0: hand-worked blocks; the gguf package does not know it."""

import numpy as np

from gnomon.kernels.quants.q1_0 import dequantize_ref


def test_a_set_bit_is_plus_d_lowest_bit_first() -> None:
    # d = 0.75. Byte 2 = 0b00000101: weights 0 and 2. Byte 17 = 0b10000000: weight 127.
    block = np.zeros((1, 18), dtype=np.uint8)
    block[0, :2] = np.array([0.75], dtype="<f2").view(np.uint8)
    block[0, 2] = 0b00000101
    block[0, 17] = 0b10000000
    expected = np.full(128, -0.75)
    expected[[0, 2, 127]] = 0.75
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


def test_a_negative_scale_turns_the_signs() -> None:
    block = np.zeros((1, 18), dtype=np.uint8)
    block[0, :2] = np.array([-2.0], dtype="<f2").view(np.uint8)
    block[0, 3] = 0xFF  # weights 8..15
    expected = np.full(128, 2.0)
    expected[8:16] = -2.0
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
