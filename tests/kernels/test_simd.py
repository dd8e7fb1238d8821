"""Vectors as values: each primitive gives the same bits compiled and as NumPy; fma rounds once."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gnomon.kernels import simd as s
from gnomon.kernels.tape import Kernel

Body = Callable[..., None]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3e38, -3e38, 1e-45, 1e-38, 65504.0, 7e4]


def arithmetic(part, parts, thread, x, y, z, out):
    a, b, c = s.load_f32x16(x), s.load_f32x16(y), s.load_f32x16(z)
    s.store_f32x16(out, a + b)
    s.store_f32x16(out + 64, a - b)
    s.store_f32x16(out + 128, a * b)
    s.store_f32x16(out + 192, s.fma(a, b, c))
    s.store_f32x16(out + 256, s.div(a, b))
    s.store_f32x16(out + 320, s.rint(a))
    s.store_f32x16(out + 384, s.vabs(a))


def comparing(part, parts, thread, x, y, z, out):
    a, b = s.load_f32x16(x), s.load_f32x16(y)
    s.store_f32x16(out, s.vmax(a, b))
    s.store_f32x16(out + 64, s.vmin(a, b))
    s.store_f32x16(out + 128, s.select(s.exceeds(a, b), a, s.splat(7.0)))
    s.store_f32x16(out + 192, s.select(s.less(s.as_i32(a), s.as_i32(b)), a, b))
    s.store_f32(out + 256, s.sum_lanes(a))
    s.store_f32(out + 260, s.max_lanes(a))
    s.store_f32(out + 264, s.sqrt(s.max_lanes(s.vabs(b))))


def moving(part, parts, thread, x, y, z, out):
    a, b = s.load_f32x16(x), s.load_f32x16(y)
    s.store_f32x16(out, s.evens(a, b))
    s.store_f32x16(out + 64, s.odds(a, b))
    s.store_f32x16(out + 128, s.zip_low(a, b))
    s.store_f32x16(out + 192, s.zip_high(a, b))
    s.store_first(out + 256, a, 5)
    s.store_f32x16(out + 320, s.load_first(y, 11))
    s.store_rows((a, b), out + 384, 64)


def whole_numbers(part, parts, thread, x, y, z, out):
    a, b, c = s.load_i32x16(x), s.load_i32x16(y), s.load_i32x16(z)
    s.store_i32x16(out, (a + b) ^ (a & b))
    s.store_i32x16(out + 64, (a - c) | b)
    s.store_i32x16(out + 128, s.shift_right(a, 7) * s.isplat(3))
    s.store_i32x16(out + 192, s.shift_left(a, 9))
    s.store_f32x16(out + 320, s.to_f32(a))
    s.store_i32x16(out + 384, s.iota())
    s.store_i32(out + 448, s.isum_lanes(a))
    s.store_i16x16(out + 456, a)
    s.store_i8x16(out + 492, a)


def turning(part, parts, thread, x, y, z, out):
    a, b = s.load_i32x16(x), s.load_i32x16(y)
    for n in range(-33, 34, 11):
        s.store_i32x16(out + 6 * (n + 33), s.rotate_right(a, n) ^ b)
        s.fence(out)


def widening(part, parts, thread, x, y, z, out):
    s.store_i32x16(out, s.load_u8x16(x))
    s.store_i32x16(out + 64, s.load_i8x16(x + 1))
    s.store_i32x16(out + 128, s.load_u16x16(x + 2))
    s.store_i64(out + 192, s.load_i64(y))
    s.store_u8(out + 200, s.load_u8(y + 3))
    s.store_i32(out + 204, s.load_i32(y + 1))


def halves(part, parts, thread, x, y, z, out):
    s.store_f16x16(out, s.load_f32x16(x))
    s.store_f32x16(out + 64, s.load_f16x16(y))
    s.store_f16(out + 128, s.load_f32(z))
    s.store_f32(out + 132, s.load_f16(y + 6))


def both(body: Body, *arrays: np.ndarray) -> tuple[Any, Any]:
    """What `body` writes in 512 bytes, compiled and as plain Python."""
    outs = np.zeros((2, 512), np.uint8)
    Kernel(f"test_{body.__name__}", body).run(0, 1, *arrays, outs[0])
    with np.errstate(all="ignore"):
        body(0, 1, 0, *[array.ctypes.data for array in arrays], outs[1].ctypes.data)
    return outs[0], outs[1]


@pytest.mark.parametrize("body", [arithmetic, comparing, moving], ids=lambda body: body.__name__)
def test_floats_have_the_same_bits_both_ways(body: Body, rng: np.random.Generator) -> None:
    for _ in range(20):
        scale = np.exp2(rng.integers(-30, 30, (3, 16))).astype(np.float32)
        compiled, plain = both(body, *(rng.standard_normal((3, 16), np.float32) * scale))
        assert compiled.tobytes() == plain.tobytes()


@pytest.mark.parametrize("body", [arithmetic, comparing], ids=lambda body: body.__name__)
def test_special_floats_have_the_same_bits_both_ways(body: Body, rng: np.random.Generator) -> None:
    for _ in range(20):
        x, y, z = rng.choice(np.array(SPECIAL, np.float32), (3, 16))
        compiled, plain = (out[:448].view(np.float32) for out in both(body, x, y, z))
        nan = np.isnan(compiled)
        assert np.array_equal(nan, np.isnan(plain))
        assert compiled[~nan].tobytes() == plain[~nan].tobytes()


@pytest.mark.parametrize("body", [whole_numbers, turning, widening], ids=lambda body: body.__name__)
def test_whole_numbers_have_the_same_bits_both_ways(body: Body, rng: np.random.Generator) -> None:
    for _ in range(20):
        arrays = rng.integers(-(2**31), 2**31, (3, 16)).astype(np.int32)
        compiled, plain = both(body, *arrays)
        assert compiled.tobytes() == plain.tobytes()


def test_half_floats_have_the_same_bits_both_ways(rng: np.random.Generator) -> None:
    for _ in range(20):
        x, z = rng.standard_normal((2, 16), np.float32) * np.float32(10.0) ** rng.integers(-8, 6)
        y = (rng.standard_normal(16) * 10.0 ** rng.integers(-7, 5)).astype(np.float16)
        compiled, plain = both(halves, x, y, z)
        assert compiled.tobytes() == plain.tobytes()


def test_plain_fma_rounds_once(rng: np.random.Generator) -> None:
    for _ in range(50):
        x, y = rng.standard_normal((2, 16), np.float32)
        z = (-x * y * (1 + rng.choice([0, 1e-7, 1e-9], 16))).astype(np.float32)
        for a, b, c, got in zip(x, y, z, s.fma(x, y, z), strict=True):
            exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
            around = np.nextafter(got, np.float32([-np.inf, np.inf]))
            error = abs(Fraction(float(got)) - exact)
            assert all(error <= abs(Fraction(float(other)) - exact) for other in around)
