"""Q8_0: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q8_0 import dequantize_ref


def test_codes_are_signed_bytes() -> None:
    block = np.zeros((1, 34), dtype=np.uint8)
    block[0, :2] = np.array([-0.5], dtype="<f2").view(np.uint8)
    block[0, 2:5] = [127, 128, 255]  # 127, -128, -1
    expected = np.zeros(32)
    expected[:3] = [-63.5, 64.0, 0.5]
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
