"""IQ3_S: hand-worked blocks (row 0 of the grid is all 1)."""

import numpy as np

from gnomon.kernels.quants.grids import grid
from gnomon.kernels.quants.iq3_s import dequantize_ref


def test_code_10_is_weights_40_to_43() -> None:
    block = np.zeros((1, 110), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    block[0, 66 + 1] = 1 << 2  # code[10] = 256
    block[0, 74 + 5] = 1  # weight 40 is negative
    block[0, 106] = 0x40  # scale[1] = 4
    expected = np.full(256, 1.0)
    expected[32:64] = 9
    expected[40:44] = 9.0 * grid("iq3_s")[256]
    expected[40] *= -1
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
