"""Activations of 16 bits: the kernel writes the twin's bytes, and codes are within half a step."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.activation_words import MOST, quantise_words, quantise_words_ref
from gnomon.kernels.activations import SHARE
from gnomon.kernels.dots import EVEN_FIRST
from gnomon.kernels.records import RECORD, Records


def records(x: np.ndarray, at_once: int, parts: int = 1) -> np.ndarray:
    """What the kernel writes [groups, blocks, 96 * at_once]."""
    groups, blocks = -(-len(x) // at_once), -(-x.shape[1] // 32)
    out = np.zeros((groups, blocks * RECORD * at_once), np.uint8)
    size = (*x.shape, x.strides[0], at_once, groups, blocks, SHARE)
    for part in range(parts):
        quantise_words.run(part, parts, x, out, *size)
    step = Records.WORDS.step(at_once)
    assert not out[:, blocks * step :].any()
    return out[:, : blocks * step].reshape(groups, blocks, step)


def read(record: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes [blocks, 32] and scales [blocks, 1] of records of one row."""
    rows = record.reshape(-1, 96)
    codes = rows[:, :64].copy().view(np.int16).reshape(-1, 8, 4)[..., EVEN_FIRST]
    return codes.reshape(-1, 32).astype(np.float64), rows[:, 64:68].copy().view(np.float32)


def draw(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Every fifth block is dominated by one number; one block is zero."""
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    x[:, 7::160] *= 40
    x[0, :32] = 0
    return x


@pytest.mark.parametrize("at_once", [1, 4, 8])
@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize("columns", [32, 20, 320, 345])
def test_records_are_the_twins(
    at_once: int, rows: int, columns: int, rng: np.random.Generator
) -> None:
    x = draw(rng, rows, columns)
    assert np.array_equal(records(x, at_once), quantise_words_ref(x, at_once))


def test_parts_together_write_all_records(rng: np.random.Generator) -> None:
    x = draw(rng, 9, 320)
    assert np.array_equal(records(x, 4, parts=5), records(x, 4))


def test_rows_may_lie_apart(rng: np.random.Generator) -> None:
    wide = draw(rng, 5, 400)
    assert np.array_equal(records(wide[:, :96], 4), quantise_words_ref(wide[:, :96], 4))


def test_codes_are_within_half_a_step(rng: np.random.Generator) -> None:
    x = draw(rng, 1, 3200)
    codes, scales = read(records(x, 1))
    error = np.abs(codes * scales - x.reshape(-1, 32))
    # the step is rounded, and so is its inverse: the most steps are off by 3 * 2^-24 of their size
    assert (error <= scales * (0.5 + float(MOST) * 3 * 2**-24)).all()


def test_numbers_are_those_of_the_codes(rng: np.random.Generator) -> None:
    record = records(draw(rng, 1, 320), 1)
    codes, scales = read(record)
    sums = np.stack([codes.sum(1), codes[:, :16].sum(1), codes[:, 16:].sum(1)], 1)
    numbers = record.reshape(-1, 96)[:, 68:92].copy()
    assert np.array_equal(numbers.view(np.int32)[:, :3], -128 * sums)
    assert np.array_equal(numbers.view(np.float32)[:, 3:], (-sums).astype(np.float32) * scales)


def test_zeros_give_zeros() -> None:
    assert not records(np.zeros((2, 64), np.float32), 1).any()


@pytest.mark.parametrize("size", [1e37, 1e-24, 8e-25, 1e-30, 1e-38, 1e-44])
def test_blocks_next_to_nothing_or_to_infinity_are_the_twins(
    size: float, rng: np.random.Generator
) -> None:
    x = (rng.uniform(-1, 1, (4, 64)) * size).astype(np.float32)
    assert np.array_equal(records(x, 4), quantise_words_ref(x, 4))


def test_a_block_below_the_least_size_has_no_codes() -> None:
    x = np.full((1, 64), 2.0**-80, np.float32)
    x[0, 40] *= 1.01
    codes, _ = read(records(x, 1))
    assert not codes[0].any()
    assert codes[1].max() == MOST
