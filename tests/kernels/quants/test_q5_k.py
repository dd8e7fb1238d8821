"""Q5_K: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q5_k import dequantize_ref


def test_plane_g_of_qh_is_the_fifth_bit_of_group_g() -> None:
    block = np.zeros((1, 176), dtype=np.uint8)
    block[0, :4] = np.array([1.0, 0.5], dtype="<f2").view(np.uint8)
    block[0, [4 + 2, 4 + 6, 4 + 10]] = [0b11_000000, 0b10_000000, 0x95]  # scale[6] 53, min[6] 41
    block[0, 48 + 3 * 32] = 0x07  # fourth run, byte 0: q[192] = 7 ...
    block[0, 16] = 1 << 6  # ... + 16
    expected = np.zeros(256)
    expected[192:224] = -0.5 * 41
    expected[192] = 53 * 23 - 0.5 * 41
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
