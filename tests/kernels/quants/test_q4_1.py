"""Q4_1: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q4_1 import dequantize_ref


def test_a_byte_holds_weights_16_apart_above_the_minimum() -> None:
    block = np.zeros((1, 20), dtype=np.uint8)
    block[0, :4] = np.array([0.5, -1.0], dtype="<f2").view(np.uint8)
    block[0, 4 + 3] = 0x4A  # q[3] = 10, q[19] = 4
    expected = np.full(32, -1.0)
    expected[3] = 0.5 * 10 - 1
    expected[19] = 0.5 * 4 - 1
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


def test_only_the_sum_rounds() -> None:
    # d = 1 + 2**-10 and m = 2**14: d * 15 = 15 + 15/1024 is exact, but float32 is spaced 2**-9
    # at 16399: 15/1024 = 7.5 * 2**-9 is a tie and goes to the even 8 * 2**-9 = 1/64.
    block = np.zeros((1, 20), dtype=np.uint8)
    block[0, :4] = np.array([1 + 2.0**-10, 2.0**14], dtype="<f2").view(np.uint8)
    block[0, 4] = 0x0F
    assert dequantize_ref(block)[0, 0] == 2.0**14 + 15 + 1 / 64
