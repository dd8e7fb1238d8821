"""Q8_K: hand-worked blocks; the gguf package does not know it."""

import numpy as np

from gnomon.kernels.quants.q8_k import dequantize_ref


def test_codes_are_signed_bytes_from_byte_4() -> None:
    # d = 0.125; q = 127, -128, -1, 0 ... 0, 3: y = 15.875, -16, -0.125, 0 ... 0, 0.375
    block = np.zeros((1, 292), dtype=np.uint8)
    block[0, :4] = np.array([0.125], dtype="<f4").view(np.uint8)
    block[0, 4:7] = [127, 128, 255]
    block[0, 259] = 3
    expected = np.zeros(256)
    expected[:3] = [15.875, -16.0, -0.125]
    expected[255] = 0.375
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


def test_the_product_rounds_to_nearest() -> None:
    # float32 0.1 is 13421773 * 2**-27. Times 127 = 1704565171 * 2**-27, whose 31 bits must become
    # 24: 1704565171 / 2**7 = 13316915.4, so y = 13316915 * 2**-20.
    block = np.zeros((1, 292), dtype=np.uint8)
    block[0, :4] = np.array([0.1], dtype="<f4").view(np.uint8)
    block[0, 4] = 127
    assert dequantize_ref(block)[0, 0] == 13316915 * 2.0**-20


def test_the_group_sums_are_not_used() -> None:
    block = np.ones((1, 292), dtype=np.uint8)
    other = block.copy()
    other[0, 260:] = 0xFF
    np.testing.assert_array_equal(dequantize_ref(other), dequantize_ref(block))
