"""Q3_K: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q3_k import dequantize_ref


def test_group_13_is_weights_208_to_223() -> None:
    block = np.zeros((1, 110), dtype=np.uint8)
    block[0, 108:] = np.array([1.0], dtype="<f2").view(np.uint8)
    block[0, 104:108] = 0b10101010  # bits 4-5 of every scale: 32, a factor of 0
    block[0, 96 + 5] = 0x10  # scale[13] = 33, a factor of 1
    block[0, 32 + 32 + 16] = 0b11 << 4  # second run, byte 16, third plane: q[208] = 3 ...
    block[0, 16] = 1 << 6  # ... + 4
    expected = np.zeros(256)
    expected[208:224] = 0 - 4
    expected[208] = 7 - 4
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
