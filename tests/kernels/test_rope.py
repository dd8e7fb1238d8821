"""Rotary positions: table against exact arithmetic, kernel against twin."""

from __future__ import annotations

import decimal

import numpy as np
import pytest

from gnomon.kernels.rope import RopeTable, frequencies, rope, rope_ref, sine_cosine


def run(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, halves: bool) -> np.ndarray:
    out = np.empty(x.shape, np.float32)
    rows, heads, dim = x.shape
    n = cos.shape[1]
    rope.run(0, 1, x, cos, sin, out, rows, heads, dim, x.strides[0], n, int(halves))
    return out


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize(("dim", "n"), [(2, 1), (32, 16), (40, 17), (64, 32), (80, 20), (128, 64)])
def test_the_kernel_agrees_with_the_twin(
    dim: int, n: int, halves: bool, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((5, 3, dim), dtype=np.float32)
    angles = rng.uniform(0, 7, (5, n))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    exact = rope_ref(*(a.astype(np.float64) for a in (x, cos, sin)), halves)
    # Two products and a sum, each rounded once, of numbers up to max|x|.
    assert np.abs(run(x, cos, sin, halves) - exact).max() <= 3 * 2**-24 * 2 * np.abs(x).max()


def test_numbers_beyond_the_rotated_ones_stay(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 2, 50), dtype=np.float32)
    angles = np.ones((2, 10), np.float32)
    assert np.array_equal(run(x, angles, angles, True)[..., 20:], x[..., 20:])


@pytest.mark.parametrize("start", [0.0, 1000.0, 1e6])
def test_sines_are_within_two_units_of_float64(start: float) -> None:
    angles = np.linspace(start, start + 10, 10_001)
    sine, cosine = sine_cosine(angles)
    # NumPy's own are within 1 unit; close to zero the angle's reduction counts, so bound
    # absolutely.
    assert np.abs(sine - np.sin(angles)).max() <= 3 * 2**-53
    assert np.abs(cosine - np.cos(angles)).max() <= 3 * 2**-53


def test_frequencies_are_the_nearest_floats() -> None:
    with decimal.localcontext(prec=60):
        exact = [decimal.Decimal(100000) ** (decimal.Decimal(-2 * i) / 64) for i in range(32)]
    assert frequencies(100000.0, 64) == tuple(float(value) for value in exact)


def test_table_rows_are_those_of_their_positions() -> None:
    table = RopeTable(10000.0, 8, 1.0, np.float64)
    positions = np.array([0, 255, 256, 3, 5000])
    cos, sin = np.empty((5, 4)), np.empty((5, 4))
    table.look_up(positions, cos, sin)
    angles = positions[:, None] * np.array(frequencies(10000.0, 8))
    assert np.abs(cos - np.cos(angles)).max() < 1e-15
    assert np.abs(sin - np.sin(angles)).max() < 1e-15


def test_positions_are_divided_by_the_linear_factor() -> None:
    plain, scaled = RopeTable(500.0, 8, 1.0, np.float64), RopeTable(500.0, 8, 4.0, np.float64)
    found = [np.empty((1, 4)) for _ in range(4)]
    plain.look_up(np.array([3]), found[0], found[1])
    scaled.look_up(np.array([12]), found[2], found[3])
    assert np.array_equal(found[0], found[2])
