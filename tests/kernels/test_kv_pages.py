"""Pages: kernels store what the twins store, and what was there before does not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.kv_pages import (
    PAGE,
    Region,
    emit_store,
    keys_of,
    region_after,
    store_kv_ref,
    values_of,
)
from gnomon.kernels.kv_quant import quantize_ref
from gnomon.kernels.kv_types import KV_TYPES, QUANTISED
from gnomon.kernels.pool import aligned
from gnomon.kernels.quants.table import DEQUANTIZE_REF
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

ROWS = PAGE + 40
TYPES = [name for name in KV_TYPES if name != "f64"]


@dataclass
class Stored:
    """Rows stored by kernels and by twins, in pages that held ones everywhere."""

    name: str
    kv_heads: int = 2
    dims: tuple[int, int] = (64, 96)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(21)
        self.region: Region = region_after(64, self.kv_heads, self.dims, (self.name, self.name))
        self.key, self.value = (
            rng.standard_normal((ROWS, self.kv_heads, dim), dtype=np.float32) for dim in self.dims
        )
        self.positions = np.arange(ROWS)
        self.ours, self.twins = self._pages(), self._pages()
        self._by_kernels()
        tables = [self._table(self.twins)] * ROWS
        store_kv_ref(self.key, self.value, tables, self.positions, self.region)

    def _pages(self) -> list[Any]:
        pages = [aligned(self.region.end) for _ in range(2)]
        for page in pages:
            page[:] = 0xFF
        return pages

    @staticmethod
    def _table(pages: list[Any]) -> Any:
        return np.array([page.ctypes.data for page in pages])

    def _by_kernels(self) -> None:
        table, tape = self._table(self.ours), Tape()
        columns = np.full(ROWS, table.ctypes.data), 0 * self.positions, self.positions
        spans = np.stack(columns, axis=1)
        emit_store(tape, self.key, self.value, self.positions, spans, self.region)
        tape.run(team(), 2)

    def kept(self) -> tuple[Any, Any]:
        """Keys and values [rows, kv heads, dim] as they are read back."""
        pages = [int(page) for page in self._table(self.ours)]
        lanes = [keys_of(page, self.region).swapaxes(2, 3) for page in pages]
        keys = np.concatenate([k.reshape(self.kv_heads, PAGE, -1) for k in lanes], axis=1)
        values = np.concatenate([values_of(page, self.region) for page in pages], axis=1)
        return keys[:, :ROWS].swapaxes(0, 1), values[:, :ROWS, : self.dims[1]].swapaxes(0, 1)


@pytest.fixture(scope="module", params=TYPES)
def stored(request: pytest.FixtureRequest) -> Stored:
    return Stored(request.param)


def rounded(x: Any, name: str) -> Any:
    """x as the type holds it, by its own formula."""
    if name in QUANTISED:
        blocks = quantize_ref(KV_TYPES[name], x.reshape(-1, 32))
        return DEQUANTIZE_REF[name](blocks).reshape(x.shape)
    if name == "bf16":
        bits = x.view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    return x.astype({"f16": np.float16, "f32": np.float32}[name])


def test_kernels_and_twins_leave_the_same_pages(stored: Stored) -> None:
    for ours, twin in zip(stored.ours, stored.twins, strict=True):
        assert ours.tobytes() == twin.tobytes()


def test_what_is_read_back_is_what_the_type_holds(stored: Stored) -> None:
    for found, given in zip(stored.kept(), (stored.key, stored.value), strict=True):
        assert np.array_equal(found, rounded(given, stored.name))


def test_a_store_leaves_other_positions_alone(stored: Stored) -> None:
    after = values_of(stored.ours[1].ctypes.data, stored.region)[:, ROWS - PAGE :]
    assert np.isnan(after).all()


@pytest.mark.parametrize("name", ["f32", "f16", "bf16"])
def test_numbers_need_no_whole_blocks(name: str) -> None:
    stored = Stored(name, 3, (40, 24))
    assert [page.tobytes() for page in stored.ours] == [page.tobytes() for page in stored.twins]


@pytest.mark.parametrize("name", [name for name in TYPES if name not in ("f16", "f32")])
def test_copies_of_the_cache_refuse_to_be_written(name: str) -> None:
    stored = Stored(name)
    for read in (keys_of, values_of):
        with pytest.raises(ValueError, match="read-only"):
            read(stored.ours[0].ctypes.data, stored.region)[0, 0] = 1


def test_a_region_begins_where_the_one_before_ends() -> None:
    first = region_after(0, 2, (64, 96), ("q8_0", "f16"))
    assert first.value_offset == 2 * PAGE * 2 * 34
    assert first.end == first.value_offset + 2 * PAGE * 96 * 2
    assert region_after(first.end, 1, (32, 32), ("f32", "f32")).key_offset == first.end


@pytest.mark.parametrize("dims", [(80, 64), (64, 80)])
def test_sizes_that_are_not_whole_blocks_are_an_error(dims: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="found 80, expected a multiple of 32 for type q8_0"):
        region_after(0, 1, dims, ("q8_0", "q8_0"))
