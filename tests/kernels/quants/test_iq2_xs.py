"""IQ2_XS: hand-worked blocks (rows of the grid: 0 all 8; 1 43, then 8)."""

import numpy as np

from gnomon.kernels.quants.iq2_xs import dequantize_ref


def test_word_2_is_weights_16_to_23() -> None:
    block = np.zeros((1, 74), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    word = 0b0000011 << 9 | 1  # two signs, so the eighth is plus; code 1
    block[0, 2 + 4 : 2 + 6] = np.array([word], dtype="<u2").view(np.uint8)
    block[0, 66] = 0x10  # scale[1] = 1
    expected = np.full(256, 0.5 / 4 * 8)
    expected[16:32] = 1.5 / 4 * 8
    expected[16:18] = [-1.5 / 4 * 43, -1.5 / 4 * 8]
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
