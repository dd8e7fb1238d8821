"""NVFP4: hand-worked blocks."""

import numpy as np
import pytest

from gnomon.kernels.quants.nvfp4 import dequantize_ref, half_ue4m3


def test_group_2_is_weights_32_to_47() -> None:
    block = np.zeros((1, 36), dtype=np.uint8)
    block[0, 2] = 0x38  # exponent 7, mantissa 0: 1, halved
    block[0, 4 + 2 * 8 + 1] = 0x95  # third run, byte 1: levels 6 and -1
    expected = np.zeros(64)
    expected[33] = 0.5 * 6
    expected[41] = 0.5 * -1
    np.testing.assert_array_equal(dequantize_ref(block)[0], expected)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0x00, 0.0),
        (0x01, 2.0**-9),
        (0x07, 7 * 2.0**-9),
        (0x08, 2.0**-6),
        (0x39, 1.125),
        (0x7E, 448.0),
        (0x7F, 0.0),
        (0x80, 0.0),
        (0xB8, 1.0),
        (0xFF, 480.0),
    ],
)
def test_a_scale_is_half_its_ue4m3_value(code: int, value: float) -> None:
    assert half_ue4m3(np.array([code], dtype=np.uint8))[0] == value / 2
