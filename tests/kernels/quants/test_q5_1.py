"""Q5_1: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q5_1 import dequantize_ref


def test_bit_j_of_qh_is_the_fifth_bit_of_weight_j() -> None:
    block = np.zeros((1, 24), dtype=np.uint8)
    block[0, :4] = np.array([0.25, 3.0], dtype="<f2").view(np.uint8)
    block[0, 4 + 2] = 1 << 1  # q[17] = 16 ...
    block[0, 8 + 1] = 0x72  # ... + 7, q[1] = 2
    expected = np.full(32, 3.0)
    expected[1] = 0.25 * 2 + 3
    expected[17] = 0.25 * 23 + 3
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
