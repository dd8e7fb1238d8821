"""Q2_0: hand-worked blocks; the gguf package does not know it."""

import numpy as np

from gnomon.kernels.quants.q2_0 import dequantize_ref


def test_a_byte_holds_four_neighbours_lowest_bits_first() -> None:
    # d = 0.5. Byte 2 = 0b11_10_01_00: q = 0, 1, 2, 3, y = -0.5, 0, 0.5, 1.
    # Byte 17 = 0b00_01_10_11: q = 3, 2, 1, 0, y = 1, 0.5, 0, -0.5. All others 0b01010101: 0.
    block = np.full((1, 18), 0b01010101, dtype=np.uint8)
    block[0, :2] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 2] = 0b11100100
    block[0, 17] = 0b00011011
    expected = np.zeros(64)
    expected[:4] = [-0.5, 0.0, 0.5, 1.0]
    expected[60:] = [1.0, 0.5, 0.0, -0.5]
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
