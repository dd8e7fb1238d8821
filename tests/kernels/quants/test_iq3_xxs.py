"""IQ3_XXS: hand-worked blocks (rows of the grid: 0 all 4; 1 20, then 4)."""

import numpy as np

from gnomon.kernels.quants.iq3_xxs import dequantize_ref


def test_word_1_rules_weights_32_to_63() -> None:
    block = np.zeros((1, 98), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    block[0, 2 + 9] = 1  # weights 36 to 39
    word = 15 << 28 | 0b0010000  # scale 15; weight 36 is negative, so the eighth, 39, is too
    block[0, 66 + 4 : 66 + 8] = np.array([word], dtype="<u4").view(np.uint8)
    expected = np.full(256, 0.5 / 2 * 4)
    expected[32:64] = 15.5 / 2 * 4
    expected[36] = -15.5 / 2 * 20
    expected[39] = -15.5 / 2 * 4
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
