"""IQ1_S: hand-worked blocks (row 0 of the grid is all -1, row 2047 all 1)."""

import numpy as np

from gnomon.kernels.quants.iq1_s import dequantize_ref


def test_word_2_rules_weights_64_to_95() -> None:
    block = np.zeros((1, 50), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    word = 1 << 15 | 3 << 12 | 7 << 3  # shift -1/8, scale 3, high bits of code[9]
    block[0, 34 + 4 : 34 + 6] = np.array([word], dtype="<u2").view(np.uint8)
    block[0, 2 + 9] = 0xFF
    expected = np.full(256, 1 * (-1 + 0.125))
    expected[64:96] = 7 * (-1 - 0.125)
    expected[72:80] = 7 * (1 - 0.125)
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
