"""MXFP4: hand-worked blocks."""

import numpy as np
import pytest

from gnomon.kernels.quants.mxfp4 import dequantize_ref, half_e8m0


def test_a_byte_holds_weights_16_apart() -> None:
    block = np.zeros((1, 17), dtype=np.uint8)
    block[0, 0] = 129
    block[0, 1 + 3] = 0xF5
    expected = np.zeros(32)
    expected[3] = 2 * 6
    expected[19] = 2 * -12
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


@pytest.mark.parametrize("e", [0, 1, 2, 127, 254, 255])
def test_the_scale_is_a_power_of_two_at_both_ends(e: int) -> None:
    assert half_e8m0(np.array([e], dtype=np.uint8))[0] == 2.0 ** (e - 128)
