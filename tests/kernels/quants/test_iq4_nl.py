"""IQ4_NL: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.iq4_nl import dequantize_ref


def test_a_byte_holds_weights_16_apart() -> None:
    block = np.full((1, 18), 0x88, dtype=np.uint8)  # level 1
    block[0, :2] = np.array([2.0], dtype="<f2").view(np.uint8)
    block[0, 2 + 3] = 0xF0
    expected = np.full(32, 2.0)
    expected[3] = 2 * -127
    expected[19] = 2 * 113
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
