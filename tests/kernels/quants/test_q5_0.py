"""Q5_0: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q5_0 import dequantize_ref


def test_bit_j_of_qh_is_the_fifth_bit_of_weight_j() -> None:
    block = np.zeros((1, 22), dtype=np.uint8)
    block[0, :2] = np.array([2.0], dtype="<f2").view(np.uint8)
    block[0, 2] = 1 << 5  # q[5] = 16
    block[0, 5] = 1 << 7  # q[31] = 16 ...
    block[0, 6 + 15] = 0x30  # ... + 3
    expected = np.full(32, 2.0 * (0 - 16))
    expected[5] = 2.0 * (16 - 16)
    expected[31] = 2.0 * (19 - 16)
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
