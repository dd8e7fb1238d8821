"""Q4_K: hand-worked blocks."""

import numpy as np

from gnomon.kernels.quants.q4_k import dequantize_ref, scales_and_minimums


def test_later_scales_are_split_over_two_bytes() -> None:
    packed = np.zeros((1, 12), dtype=np.uint8)
    packed[0, 2] = 0b11_000111  # scale[2] = 7; bits 4-5 of scale[6] = 3
    packed[0, 6] = 0b10_001000  # min[2] = 8; bits 4-5 of min[6] = 2
    packed[0, 10] = 0x95  # bits 0-3 of scale[6] = 5, of min[6] = 9
    scales, minimums = scales_and_minimums(packed)
    np.testing.assert_array_equal(scales[0], [0, 0, 7, 0, 0, 0, 3 * 16 + 5, 0])
    np.testing.assert_array_equal(minimums[0], [0, 0, 8, 0, 0, 0, 2 * 16 + 9, 0])


def test_group_6_is_weights_192_to_223() -> None:
    block = np.zeros((1, 144), dtype=np.uint8)
    block[0, :4] = np.array([1.0, 0.5], dtype="<f2").view(np.uint8)
    block[0, [4 + 2, 4 + 6, 4 + 10]] = [0b11_000000, 0b10_000000, 0x95]  # scale 53, minimum 41
    block[0, 16 + 3 * 32] = 0x07  # fourth run, byte 0: q[192] = 7
    expected = np.zeros(256)
    expected[192:224] = -0.5 * 41
    expected[192] = 53 * 7 - 0.5 * 41
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)
