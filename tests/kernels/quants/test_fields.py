"""Reading packed fields: which bits of which byte become which number."""

import numpy as np

from gnomon.kernels.quants.fields import even_signs, f16, f32, i8, planes, signs, u16, u32


def test_numbers_are_little_endian_at_any_offset() -> None:
    blocks = np.array([[9, 0x00, 0x3C, 0x80, 0xBF]], dtype=np.uint8)
    assert f16(blocks, 1)[0, 0] == 1.0
    assert f32(blocks, 1)[0, 0] == -(1 + 0x3C00 / 2**23)
    assert u16(blocks, 1, 2).tolist() == [[0x3C00, 0xBF80]]
    assert u32(blocks, 1, 1).tolist() == [[0xBF803C00]]
    assert i8(blocks, 3, 2).tolist() == [[-128, -65]]


def test_planes_of_a_run_follow_each_other() -> None:
    packed = np.array([[0x21, 0x43, 0x65, 0x87]], dtype=np.uint8)
    assert planes(packed, width=2, bits=4).tolist() == [[1, 3, 2, 4, 5, 7, 6, 8]]


def test_planes_of_width_1_keep_neighbours_together() -> None:
    packed = np.array([[0b11100100]], dtype=np.uint8)
    assert planes(packed, width=1, bits=2).tolist() == [[0, 1, 2, 3]]


def test_a_set_sign_bit_is_minus() -> None:
    assert signs(np.array([[0b10000001]], dtype=np.uint8)).tolist() == [[-1, 1, 1, 1, 1, 1, 1, -1]]


def test_the_eighth_sign_makes_the_minuses_even() -> None:
    factors = even_signs(np.arange(128, dtype=np.uint16)[:, None])
    np.testing.assert_array_equal(np.prod(factors, axis=1), np.ones(128))
    np.testing.assert_array_equal((factors[:, :7] < 0) @ (1 << np.arange(7)), np.arange(128))


def test_bits_above_a_sign_code_do_not_matter() -> None:
    code = np.array([[0b0100101]], dtype=np.uint32)
    np.testing.assert_array_equal(even_signs(code | np.uint32(0xFFFFFF80)), even_signs(code))
