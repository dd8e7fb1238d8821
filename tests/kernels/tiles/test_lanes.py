"""The tiles' primitives: compiled and as NumPy they give the same bits."""

import numpy as np
import pytest

from gnomon.kernels.quants.tq1_0 import dequantize_ref
from gnomon.kernels.simd import load_i32x16, store_f32x16, store_i32x16
from gnomon.kernels.tape import Kernel
from gnomon.kernels.tiles.fp4 import fp4_level, iq4_level
from gnomon.kernels.tiles.lanes import digits_3, header_f16x16, load_column, load_columns


def test_a_headers_numbers_become_float32():
    numbers = np.random.default_rng(4).standard_normal(16).astype(np.float16)
    out = np.zeros(16, np.float32)

    def body(part, parts, thread, numbers, out):
        store_f32x16(out, header_f16x16(numbers))

    Kernel("test_header_f16x16", body).run(0, 1, numbers, out)
    np.testing.assert_array_equal(out, numbers.astype(np.float32))
    np.testing.assert_array_equal(header_f16x16(numbers.ctypes.data), out)


def test_table_look_up():
    codes = np.random.default_rng(1).integers(0, 16, 64, dtype=np.uint8)
    out = np.zeros(128, np.uint8)

    def body(part, parts, thread, codes, out):
        store_i32x16(out, fp4_level(load_i32x16(codes)))
        store_i32x16(out + 64, iq4_level(load_i32x16(codes)))

    Kernel("test_table_look_up", body).run(0, 1, codes, out)
    both = [np.asarray(level(codes.view(np.int32))) for level in (fp4_level, iq4_level)]
    np.testing.assert_array_equal(out, np.concatenate(both).view(np.uint8))


@pytest.mark.parametrize("power", [1, 3, 9, 27, 81])
def test_base_3_digits_of_every_byte(power):
    packed, out = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)

    def body(part, parts, thread, packed, out, power):
        for i in range(4):
            store_i32x16(out + 64 * i, digits_3(load_i32x16(packed + 64 * i), power))

    Kernel("test_digits_3", body).run(0, 1, packed, out, power)
    blocks = np.zeros((8, 54), np.uint8)
    blocks[:, :32], blocks[:, 53] = packed.reshape(8, 32), 0x3C  # d = 1
    digit = {1: 0, 3: 1, 9: 2, 27: 3, 81: 4}[power]
    want = dequantize_ref(blocks)[:, 32 * digit : 32 * digit + 32] + 1
    np.testing.assert_array_equal(out, want.ravel())
    np.testing.assert_array_equal(
        digits_3(packed[:64].view(np.int32), power).view(np.uint8), out[:64]
    )


def test_words_of_16_rows_become_lanes():
    rows = np.random.default_rng(2).integers(0, 256, (16, 22), dtype=np.uint8)
    out = np.zeros((5, 16), np.int32)

    def body(part, parts, thread, rows, out):
        a, b, c, d = load_columns(rows, 22)
        store_i32x16(out, a)
        store_i32x16(out + 64, b)
        store_i32x16(out + 128, c)
        store_i32x16(out + 192, d)
        store_i32x16(out + 256, load_column(rows + 16, 22))

    Kernel("test_words_to_lanes", body).run(0, 1, rows, out)
    np.testing.assert_array_equal(out, rows[:, :20].copy().view(np.int32).T)
