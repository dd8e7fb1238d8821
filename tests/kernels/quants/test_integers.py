"""I8, I16, I32, I64: two's complement, little-endian, rounded beyond 2**24."""

import numpy as np

from gnomon.kernels.quants.integers import i8_ref, i16_ref, i32_ref, i64_ref


def test_i8_is_signed() -> None:
    blocks = np.array([[0], [127], [128], [255]], dtype=np.uint8)
    np.testing.assert_array_equal(i8_ref(blocks)[:, 0], [0, 127, -128, -1])


def test_i16_has_its_low_byte_first() -> None:
    blocks = np.array([[0x02, 0x01], [0xFF, 0x7F], [0x00, 0x80]], dtype=np.uint8)
    np.testing.assert_array_equal(i16_ref(blocks)[:, 0], [258, 32767, -32768])


def test_i32_rounds_ties_to_even() -> None:
    values = np.array([1 << 24, (1 << 24) + 1, (1 << 24) + 3, -(1 << 31)], dtype="<i4")
    y = i32_ref(values.view(np.uint8).reshape(4, 4))
    np.testing.assert_array_equal(y[:, 0], [1 << 24, 1 << 24, (1 << 24) + 4, -(1 << 31)])


def test_i64_takes_the_whole_range() -> None:
    values = np.array([-1, (1 << 63) - 1, -(1 << 63)], dtype="<i8")
    y = i64_ref(values.view(np.uint8).reshape(3, 8))
    np.testing.assert_array_equal(y[:, 0], [-1.0, 2.0**63, -(2.0**63)])
