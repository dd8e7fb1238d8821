"""Sums over a block's vectors: exact for the largest codes and activations of every type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels.counts import counts_of
from gnomon.kernels.dots import EVEN_FIRST
from gnomon.kernels.records import Records
from gnomon.kernels.simd import fence, isplat, load_i32, load_i32x16, store_i32x16
from gnomon.kernels.tape import Kernel
from gnomon.kernels.tiles.codes import raised
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.trace import unrolled, void

MOST = {Records.BYTES: 127, Records.WORDS: 32258}  # of an activation
INTEGER = [name for name, form in FORMATS.items() if form.integer]


def summing(name: str, records: Records) -> Any:
    form = FORMATS[name]

    @unrolled(lambda codes, x, out: void)
    def count(codes, x, out):
        counts = counts_of(records)(form, {0: isplat(0), 1: isplat(7)})
        for g in range(8):
            for part in range(records.parts):
                vector = counts.ready(load_i32x16(codes + 64 * g), part)
                for row in (0, 1):
                    at = records.codes * row + 4 * (records.parts * g + part)
                    counts.add(row, vector, isplat(load_i32(x + at)))
            counts.next()
            fence(codes)
        for row, total in counts.done().items():
            store_i32x16(out + 64 * row, total)

    def body(part, parts, thread, codes, x, out):
        count(codes, x, out)

    return body


def check(name: str, records: Records, small: Any, x: Any) -> None:
    """codes [8, 16, 4] at the bottom of their bytes, activations [2, 32]."""
    form, out = FORMATS[name], np.zeros((2, 2, 16), np.int32)
    codes, body = (small << raised(form.lift)).astype(np.uint8), summing(name, records)
    laid = x.astype(np.int8)
    if records is Records.WORDS:
        laid = np.ascontiguousarray(x.reshape(2, 8, 4)[..., EVEN_FIRST], np.int16)
    Kernel(f"test_counts_{records.value}_{name}", body).run(0, 1, codes, laid, out[0])
    body(0, 1, 0, codes.ctypes.data, laid.ctypes.data, out[1].ctypes.data)
    values = small.astype(int) << form.lift
    if form.signed and counts_of(records).from_zero(form):
        values -= 128
    wanted = np.einsum("grc,igc->ir", values, x.astype(int).reshape(2, 8, 4))
    wanted[1] += 7
    assert out[0].tolist() == wanted.tolist()
    assert out[1].tolist() == wanted.tolist()


@pytest.mark.parametrize("records", MOST)
@pytest.mark.parametrize("name", INTEGER)
def test_sums_of_the_largest_products_are_exact(name: str, records: Records) -> None:
    x = np.array([[MOST[records]] * 32, [-MOST[records]] * 32])
    check(name, records, np.full((8, 16, 4), FORMATS[name].top), x)


@pytest.mark.parametrize("records", MOST)
@pytest.mark.parametrize("name", INTEGER)
def test_sums_of_any_products_are_exact(
    name: str, records: Records, rng: np.random.Generator
) -> None:
    most = MOST[records]
    for _ in range(5):
        small = rng.integers(0, FORMATS[name].top + 1, (8, 16, 4))
        check(name, records, small, rng.integers(-most, most + 1, (2, 32)))
