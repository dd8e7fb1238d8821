"""Q4_0: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q4_0 import dequantize_ref


def test_a_byte_holds_weights_16_apart() -> None:
    block = np.full((1, 18), 0x88, dtype=np.uint8)  # q = 8: zero
    block[0, :2] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 2 + 3] = 0x2F  # q[3] = 15, q[19] = 2
    expected = np.zeros(32)
    expected[3] = 0.5 * (15 - 8)
    expected[19] = 0.5 * (2 - 8)
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
