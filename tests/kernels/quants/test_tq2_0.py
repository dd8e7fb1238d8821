"""TQ2_0: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.tq2_0 import dequantize_ref


def test_a_byte_holds_weights_32_apart() -> None:
    block = np.full((1, 66), 0b01010101, dtype=np.uint8)  # q = 1: zero
    block[0, 64:] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 32 + 1] = 0b11_10_01_00  # second run, byte 1
    expected = np.zeros(256)
    expected[129 + 32 * np.arange(4)] = [-0.5, 0, 0.5, 1]
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
