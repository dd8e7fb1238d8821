"""Q6_K: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q6_k import dequantize_ref


def test_group_15_is_weights_240_to_255() -> None:
    block = np.zeros((1, 210), dtype=np.uint8)
    block[0, 208:] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 192 + 15] = 256 - 2  # scale[15] = -2
    block[0, 64 + 48] = 0x50  # second run, byte 48, high half: bits 0-3 of q[240] = 5
    block[0, 128 + 32 + 16] = 0b10 << 6  # second run, byte 16, fourth plane: bits 4-5 = 2
    expected = np.zeros(256)
    expected[240:] = 0.5 * -2 * (0 - 32)
    expected[240] = 0.5 * -2 * (37 - 32)
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
