"""Attention over pages: kernels against the twin, and the same bits however rows are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.attention import Shape, attention_ref, emit_attention
from gnomon.kernels.kv_pages import PAGE, Region, emit_store, region_after
from gnomon.kernels.pool import Pool, aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

KEYS = 300


@dataclass
class Case:
    """Heads, sizes and options of one attention layer."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    kind: str
    window: int = 0
    soft_cap: float = 0.0


CASES = {
    "grouped by 3, f16": Case(9, 3, 64, 64, "f16"),
    "grouped by 3, f32": Case(9, 3, 64, 64, "f32"),
    "one head for all, window": Case(4, 1, 256, 256, "f32", window=100),
    "odd sizes, soft cap": Case(8, 2, 24, 40, "f32", soft_cap=30.0),
    "no groups, small window": Case(2, 2, 48, 32, "f16", window=50),
    "16 to 1": Case(16, 1, 40, 56, "f32"),
}


class World:
    """A sequence of KEYS positions with queries for all, and ways to attend."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(11)
        self.case = case
        self.shape = Shape(case.heads, case.key_dim**-0.5, case.soft_cap)
        dims, kinds = (case.key_dim, case.value_dim), (case.kind, case.kind)
        self.region: Region = region_after(64, case.kv_heads, dims, kinds)
        self.pages = [aligned(self.region.end) for _ in range(-(-KEYS // PAGE))]
        self.table = np.array([page.ctypes.data for page in self.pages])
        self.q = draw(rng, KEYS, case.heads, case.key_dim)
        self.key = draw(rng, KEYS, case.kv_heads, case.key_dim)
        self.value = draw(rng, KEYS, case.kv_heads, case.value_dim)
        self.positions = np.arange(KEYS)
        first = (
            np.maximum(0, self.positions - case.window + 1) if case.window else 0 * self.positions
        )
        table = np.full(KEYS, self.table.ctypes.data)
        self.spans = np.stack([table, first, self.positions], axis=1)

    def attend(self, start: int, end: int, threads: int = 2) -> Any:
        part = slice(start, end)
        spans = Spans(np.ascontiguousarray(self.spans[part]), [self.table] * (end - start), KEYS)
        qkv = self.q[part], self.key[part], self.value[part]
        tape = Tape()
        out = emit_attention(
            tape, Pool(), qkv, self.positions[part], spans, self.region, self.shape, threads
        )
        tape.run(team(), threads)
        return out.copy()

    def reference(self) -> Any:
        tables = [self.table] * KEYS
        ranges = self.spans[:, 1:]
        out = attention_ref(self.q.astype(np.float64), tables, ranges, self.region, self.shape)
        return out.reshape(KEYS, -1)


def draw(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module", params=CASES)
def world(request: pytest.FixtureRequest) -> World:
    made = World(CASES[request.param])
    made.whole = made.attend(0, KEYS)
    return made


def test_the_kernel_agrees_with_the_twin(world: World) -> None:
    exact = world.reference()
    # Each of dim + keys products and a few exps rounds by half a unit of numbers near 1.
    bound = 2**-24 * (world.case.key_dim + KEYS) * np.abs(world.value).max()
    assert np.abs(world.whole - exact).max() <= bound


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(world: World, threads: int) -> None:
    assert world.attend(0, KEYS, threads).tobytes() == world.whole.tobytes()


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (127, 128), (128, 129), (120, 128), (120, 129), (299, 300), (5, 18)]
)
def test_a_row_does_not_know_its_neighbours(world: World, start: int, end: int) -> None:
    assert world.attend(start, end).tobytes() == world.whole[start:end].tobytes()


def test_numbers_left_in_a_page_by_others_do_not_matter(world: World) -> None:
    world.pages[-1][:] = 0xFF  # every number is NaN
    before = KEYS // PAGE * PAGE
    assert world.attend(before, KEYS).tobytes() == world.whole[before:].tobytes()


def test_keys_are_stored_as_they_are_rounded(world: World) -> None:
    from gnomon.kernels.kv_pages import keys_of

    tape = Tape()
    emit_store(tape, world.key, world.value, world.positions, world.spans, world.region)
    tape.run(team(), 2)
    kept = [keys_of(int(page), world.region).swapaxes(2, 3) for page in world.table]
    flat = np.concatenate([k.reshape(len(k), PAGE, -1) for k in kept], axis=1)[:, :KEYS]
    with np.errstate(over="ignore"):
        assert np.array_equal(flat.swapaxes(0, 1), world.key.astype(flat.dtype))
