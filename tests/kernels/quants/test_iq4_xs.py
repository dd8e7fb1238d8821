"""IQ4_XS: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.iq4_xs import dequantize_ref


def test_group_5_is_weights_160_to_191() -> None:
    block = np.zeros((1, 136), dtype=np.uint8)
    block[0, :2] = np.array([2.0], dtype="<f2").view(np.uint8)
    block[0, 2:4] = 0b10101010  # bits 4-5 of every scale: 32, a factor of 0
    block[0, 4 + 2] = 0x30  # scale[5] = 35, a factor of 3
    block[0, 8 + 5 * 16] = 0x1F  # sixth run, byte 0: levels 15 and 1
    expected = np.zeros(256)
    expected[160:192] = 2 * 3 * -127
    expected[160] = 2 * 3 * 113
    expected[176] = 2 * 3 * -104
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
