"""TQ1_0: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.tq1_0 import dequantize_ref


def test_a_byte_is_a_fraction_whose_base_3_digits_are_weights() -> None:
    # Digits 2, 0, 1, 2, 1 are the number 2*81 + 0*27 + 1*9 + 2*3 + 1 = 178; the byte is the next
    # whole number above 178 * 256 / 243 = 187.5. Digits 0, 2, 1, 2 (, 0): 69, and 69 -> 72.7.
    block = np.zeros((1, 54), dtype=np.uint8)
    block[0, 52:] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 3] = 188
    block[0, 32 + 3] = 188
    block[0, 48 + 3] = 73
    expected = np.full(256, -0.5)
    expected[3 + 32 * np.arange(5)] = [0.5, -0.5, 0, 0.5, 0]
    expected[160 + 3 + 16 * np.arange(5)] = [0.5, -0.5, 0, 0.5, 0]
    expected[240 + 3 + 4 * np.arange(4)] = [-0.5, 0.5, 0, 0.5]
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
