"""IQ2_XXS: hand-worked blocks (rows of the grid: 0 all 8; 1 43, then 8)."""

import numpy as np

from gnomon.kernels.quants.iq2_xxs import dequantize_ref


def test_run_3_rules_weights_96_to_127() -> None:
    block = np.zeros((1, 66), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    block[0, 2 + 3 * 8 + 1] = 1  # code[13]
    word = 5 << 28 | 0b0000001 << 7  # scale 5; signs of row 13: an odd one, so the eighth too
    block[0, 2 + 3 * 8 + 4 : 2 + 4 * 8] = np.array([word], dtype="<u4").view(np.uint8)
    expected = np.full(256, 0.5 / 4 * 8)
    expected[96:128] = 5.5 / 4 * 8
    expected[104] = -5.5 / 4 * 43
    expected[111] = -5.5 / 4 * 8
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
