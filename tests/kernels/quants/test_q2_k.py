"""Q2_K: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q2_k import dequantize_ref


def test_group_9_is_weights_144_to_159() -> None:
    block = np.zeros((1, 84), dtype=np.uint8)
    block[0, 80:] = np.array([0.5, 0.25], dtype="<f2").view(np.uint8)
    block[0, 9] = 0x32  # scale 2, minimum 3
    block[0, 16 + 32 + 17] = 0b01  # second run, byte 17, first plane: q[145] = 1
    expected = np.zeros(256)
    expected[144:160] = -0.25 * 3
    expected[145] = 0.5 * 2 * 1 - 0.25 * 3
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
