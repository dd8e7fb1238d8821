"""IQ2_S: hand-worked blocks (row 0 of the grid is all 8)."""

import numpy as np

from gnomon.kernels.quants.grids import grid
from gnomon.kernels.quants.iq2_s import dequantize_ref


def test_code_5_is_weights_40_to_47() -> None:
    block = np.zeros((1, 82), dtype=np.uint8)
    block[0, :2] = np.array([1.0], dtype="<f2").view(np.uint8)
    block[0, 2 + 5] = 1
    block[0, 66 + 1] = 2 << 2  # code[5] = 2 * 256 + 1
    block[0, 34 + 5] = 0x81  # weights 40 and 47 are negative
    block[0, 74 + 1] = 0x07  # scale[2] = 7
    expected = np.full(256, 0.5 / 4 * 8)
    expected[32:48] = 7.5 / 4 * 8
    expected[40:48] = 7.5 / 4 * grid("iq2_s")[513].astype(np.float64)
    expected[[40, 47]] *= -1
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
