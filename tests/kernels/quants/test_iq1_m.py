"""IQ1_M: hand-worked blocks (row 0 of the grid is all -1, row 2047 all 1)."""

import numpy as np

from gnomon.kernels.quants.iq1_m import dequantize_ref


def test_the_scale_is_cut_into_the_top_nibbles_of_four_words() -> None:
    block = np.zeros((1, 56), dtype=np.uint8)
    block[0, [49, 51, 53, 55]] = [0x10, 0x20, 0xC0, 0x30]  # d = 0x3C21 = 1 + 33/1024
    np.testing.assert_array_equal(dequantize_ref(block)[0], np.full(256, -0.875 * (1 + 33 / 1024)))


def test_group_6_is_weights_96_to_111() -> None:
    block = np.zeros((1, 56), dtype=np.uint8)
    words = [0, 2 << 6, 0xC000, 0x3000]  # scale[6] = 2; d = 0x3C00 = 1
    block[0, 48:] = np.array(words, dtype="<u2").view(np.uint8)
    block[0, 12] = 0xFF
    block[0, 32 + 6] = 0x0F  # code[12] = 2047, shift[12] = -1/8; code[13] = 0, shift[13] = 1/8
    expected = np.full(256, 1 * (-1 + 0.125))
    expected[96:104] = 5 * (1 - 0.125)
    expected[104:112] = 5 * (-1 + 0.125)
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
