"""Activation records: the kernels write the twins' bytes, and codes are within half a step."""

from __future__ import annotations

import numpy as np
import pytest

from gnomon.kernels.activations import SHARE, arrange, arrange_ref, quantise, quantise_ref
from gnomon.kernels.records import RECORD
from gnomon.kernels.tape import Kernel


def records(
    kernel: Kernel, x: np.ndarray, at_once: int, share: float = SHARE, parts: int = 1
) -> np.ndarray:
    groups, blocks = -(-len(x) // at_once), -(-x.shape[1] // 32)
    out = np.zeros((groups, 2, blocks, RECORD // 2 * at_once), np.uint8)
    size = (*x.shape, x.strides[0], at_once, groups, blocks, share)
    for part in range(parts):
        kernel.run(part, parts, x, out, *size)
    return out


def draw(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Every fifth block is dominated by one number; one block is zero."""
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    x[:, 7::160] *= 40
    x[0, :32] = 0
    return x


def level(record: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and scales of one level of records of one row."""
    half = record[:, index].reshape(-1, RECORD // 2)
    return half[:, :32].copy().view(np.int8).astype(np.float64), half[:, 32:36].copy().view("<f4")


@pytest.mark.parametrize("at_once", [1, 4, 8])
@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize("columns", [32, 20, 320, 345])
def test_integer_records_are_the_twins(
    at_once: int, rows: int, columns: int, rng: np.random.Generator
) -> None:
    x = draw(rng, rows, columns)
    assert np.array_equal(records(quantise, x, at_once), quantise_ref(x, at_once))


@pytest.mark.parametrize("columns", [32, 20, 345])
def test_float_records_are_the_twins(columns: int, rng: np.random.Generator) -> None:
    x = draw(rng, 9, columns)
    want = arrange_ref(x, 8)
    assert np.array_equal(records(arrange, x, 8).view(np.float32).ravel(), want.ravel())


def test_parts_together_write_all_records(rng: np.random.Generator) -> None:
    x = draw(rng, 9, 320)
    assert np.array_equal(records(quantise, x, 4, parts=5), records(quantise, x, 4))


def test_rows_may_lie_apart(rng: np.random.Generator) -> None:
    wide = draw(rng, 5, 400)
    assert np.array_equal(records(quantise, wide[:, :96], 4), quantise_ref(wide[:, :96], 4))


def test_one_level_is_within_half_a_step(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 3200), dtype=np.float32)
    codes, scales = level(records(quantise, x, 1, share=1.0), 0)
    error = np.abs(codes * scales - x.reshape(-1, 32))
    # the step is rounded, and so is its inverse: 127 steps are off by 127 * 2 * 2^-24 of one
    assert (error <= scales * (0.5 + 127 * 2**-22)).all()


def test_two_levels_are_within_half_a_finer_step(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 3200), dtype=np.float32)
    record = records(quantise, x, 1, share=0.0)
    (first, d1), (second, d2) = level(record, 0), level(record, 1)
    error = np.abs(first * d1 + second * d2 - x.reshape(-1, 32))
    assert (error <= d2 * (0.5 + 127 * 2**-21)).all()


def test_second_level_is_used_where_one_number_dominates() -> None:
    x = np.ones((1, 64), np.float32)
    x[0, 40] = 100
    flags = records(quantise, x, 1)[0, 0, :, 60:64].copy().view(np.int32)
    assert flags.ravel().tolist() == [0, 1]


def test_flag_of_a_record_speaks_for_all_its_rows() -> None:
    x = np.ones((4, 32), np.float32)
    x[3, 0] = 100
    record = records(quantise, x, 4).reshape(-1)
    assert record[60 * 4 : 60 * 4 + 16].view(np.int32).tolist() == [1, 0, 0, 0]


def test_second_level_that_nobody_reads_is_not_written() -> None:
    x, out = np.ones((1, 64), np.float32), np.full(2 * RECORD, 77, np.uint8)
    x[0, 40] = 100
    quantise.run(0, 1, x, out, *x.shape, x.strides[0], 1, 1, 2, SHARE)
    assert (out[RECORD : RECORD + RECORD // 2] == 77).all()


def test_zeros_give_zeros() -> None:
    assert not records(quantise, np.zeros((2, 64), np.float32), 1).any()


@pytest.mark.parametrize("size", [1e-24, 8e-25, 1e-30, 1e-38, 1e-44])
def test_blocks_next_to_nothing_are_the_twins(size: float, rng: np.random.Generator) -> None:
    x = (rng.standard_normal((4, 64)) * size).astype(np.float32)
    assert np.array_equal(records(quantise, x, 4), quantise_ref(x, 4))


def test_a_block_below_the_least_size_has_no_codes() -> None:
    x = np.full((1, 64), 2.0**-80, np.float32)
    x[0, 40] *= 1.01
    codes, _ = level(records(quantise, x, 1), 0)
    assert not codes[0].any()
    assert codes[1].max() == 127
