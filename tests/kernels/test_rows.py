"""Four rows at once: each row's results have the bits it has alone, compiled and as NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels import rows as r
from gnomon.kernels import simd as s
from gnomon.kernels.tape import Kernel
from gnomon.kernels.trace import unrolled, void

SPECIAL = [0.0, -0.0, 1.0, -1.0, 3e38, -3e38, 1e-45, np.nan, np.inf, -np.inf]


@unrolled(lambda x, out: void)
def put_results(x: Any, out: Any) -> None:
    """Largest lanes, sums and whole sums of four rows, their lanes, and whether one is above 0."""
    vecs = [s.load_f32x16(x + 64 * i) for i in range(4)]
    whole = [s.load_i32x16(x + 64 * i) for i in range(4)]
    tops = r.maxima(vecs)
    r.store_floats(out, tops, 4)
    r.store_floats(out + 16, r.sums(vecs), 4)
    r.store_ints(out + 32, r.isums(whole), 4)
    s.store_i32(out + 48, r.any_row(s.exceeds(tops, s.splat(0.0))))
    for i in range(4):
        s.store_f32x16(out + 64 + 64 * i, r.of_row(tops, i))


@unrolled(lambda x, out: void)
def put_alone(x: Any, out: Any) -> None:
    """The same of each row by itself."""
    for i in range(4):
        vec, whole = [s.load_f32x16(x + 64 * i)], [s.load_i32x16(x + 64 * i)]
        r.store_floats(out + 4 * i, r.maxima(vec), 1)
        r.store_floats(out + 16 + 4 * i, r.sums(vec), 1)
        r.store_ints(out + 32 + 4 * i, r.isums(whole), 1)
        s.store_f32x16(out + 64 + 64 * i, r.of_row(r.maxima(vec), 0))


def four(part: int, parts: int, thread: int, x: int, out: int) -> None:
    put_results(x, out)


def alone(part: int, parts: int, thread: int, x: int, out: int) -> None:
    put_alone(x, out)


FOUR, ALONE = Kernel("test_four_rows", four), Kernel("test_rows_alone", alone)


def compiled(kernel: Kernel, x: np.ndarray) -> np.ndarray:
    out = np.zeros(320, np.uint8)
    kernel.run(0, 1, x, out)
    return out


def plain(x: np.ndarray) -> np.ndarray:
    out = np.zeros(320, np.uint8)
    with np.errstate(all="ignore"):
        four(0, 1, 0, x.ctypes.data, out.ctypes.data)
    return out


@pytest.fixture(params=["normal", "special"])
def x(request: pytest.FixtureRequest, rng: np.random.Generator) -> np.ndarray:
    if request.param == "special":
        return rng.choice(np.array(SPECIAL, np.float32), (20, 4, 16))
    return rng.standard_normal((20, 4, 16), dtype=np.float32)


def same_floats(x: np.ndarray, y: np.ndarray) -> bool:
    """The same bits, but for which NaN it is: LLVM and NumPy are free to choose."""
    a, b = x.view(np.float32), y.view(np.float32)
    nan = np.isnan(a)
    return np.array_equal(nan, np.isnan(b)) and a[~nan].tobytes() == b[~nan].tobytes()


def test_rows_have_the_bits_that_they_have_alone(x: np.ndarray) -> None:
    for rows in x:
        together, apart = compiled(FOUR, rows), compiled(ALONE, rows)
        together[48:52] = 0
        assert same_floats(together, apart)


def test_bits_are_those_of_the_numpy_bodies(x: np.ndarray) -> None:
    for rows in x:
        assert same_floats(compiled(FOUR, rows), plain(rows))
