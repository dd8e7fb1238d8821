"""Attention over pages: kernels against the twin, and the same bits however rows are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gnomon.kernels.attention import Shape, attention_ref, emit_attention
from gnomon.kernels.kv_pages import PAGE, Region, region_after
from gnomon.kernels.pool import Pool, aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

KEYS = 300


@dataclass
class Case:
    """Heads, sizes and options of one attention layer; `kind` is the type of keys / values."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    kind: str
    window: int = 0
    soft_cap: float = 0.0
    sinks: bool = False
    slopes: bool = False

    @property
    def kinds(self) -> tuple[str, str]:
        key, _, value = self.kind.partition("/")
        return key, value or key


CASES = {
    "grouped by 3, f16": Case(9, 3, 64, 64, "f16"),
    "grouped by 3, f32": Case(9, 3, 64, 64, "f32"),
    "one head for all, window": Case(4, 1, 256, 256, "f32", window=100),
    "odd sizes, soft cap": Case(8, 2, 24, 40, "f32", soft_cap=30.0),
    "no groups, small window": Case(2, 2, 48, 32, "f16", window=50),
    "16 to 1": Case(16, 1, 40, 56, "f32"),
    "sinks, bf16": Case(8, 2, 48, 40, "bf16", sinks=True, window=150),
    "slopes": Case(2, 2, 32, 32, "f32", slopes=True),
    "large keys, other values": Case(4, 1, 576, 512, "f16"),
    "q8_0": Case(6, 2, 64, 96, "q8_0"),
    "q4_0, window": Case(4, 1, 64, 64, "q4_0", window=70),
    "q4_1": Case(4, 1, 64, 64, "q4_1"),
    "q5_0": Case(4, 1, 64, 64, "q5_0", soft_cap=20.0),
    "q5_1": Case(4, 1, 64, 64, "q5_1"),
    "iq4_nl, sinks": Case(4, 1, 64, 64, "iq4_nl", sinks=True),
    "q8_0 keys, f16 values": Case(4, 1, 64, 48, "q8_0/f16"),
    "f16 keys, q4_0 values": Case(4, 1, 40, 64, "f16/q4_0"),
}


class World:
    """A sequence of KEYS positions with queries for all, and ways to attend."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(11)
        self.case = case
        self.shape = Shape(case.heads, case.key_dim**-0.5, case.soft_cap)
        dims = (case.key_dim, case.value_dim)
        self.region: Region = region_after(64, case.kv_heads, dims, case.kinds)
        self.pages = [aligned(self.region.end) for _ in range(-(-KEYS // PAGE))]
        self.table = np.array([page.ctypes.data for page in self.pages])
        self.q = draw(rng, KEYS, case.heads, case.key_dim)
        self.key = draw(rng, KEYS, case.kv_heads, case.key_dim)
        self.value = draw(rng, KEYS, case.kv_heads, case.value_dim)
        self.sinks: Any = draw(rng, case.heads) if case.sinks else None
        self.slopes: Any = 0.01 * draw(rng, case.heads) if case.slopes else None
        self.whole: Any = None
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
        given = [0 if numbers is None else numbers for numbers in (self.sinks, self.slopes)]
        tape, pool = Tape(), Pool()
        out = emit_attention(
            tape, pool, qkv, self.positions[part], spans, self.region, self.shape, threads, *given
        )
        tape.run(team(), threads)
        return out.copy()

    def reference(self) -> Any:
        tables = [self.table] * KEYS
        given = [None if n is None else n.astype(np.float64) for n in (self.sinks, self.slopes)]
        q, ranges = self.q.astype(np.float64), self.spans[:, 1:]
        out = attention_ref(q, tables, ranges, self.region, self.shape, *given)
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


def test_an_infinite_value_does_not_reach_rows_that_do_not_see_it() -> None:
    case = Case(2, 2, 32, 32, "f16", window=40)
    plain, marked = World(case), World(case)
    marked.value[200] = 1e6  # more than float16 holds
    seen = slice(200, 200 + case.window)
    found, expected = marked.attend(0, KEYS), plain.attend(0, KEYS)
    assert np.isinf(found[seen]).all()
    others = [np.delete(out, np.r_[seen], axis=0).tobytes() for out in (found, expected)]
    assert others[0] == others[1]


def test_rows_of_two_sequences_keep_to_their_own_pages() -> None:
    case = Case(4, 2, 32, 32, "f32")
    one, two = World(case), World(case)
    two.value = -2 * two.value
    apart = [one.attend(0, KEYS), two.attend(0, KEYS)]
    rows = [(one, 5), (one, 6), (two, 299), (one, 200), (two, 130), (two, 131)]
    for count in (3, 6):
        for repeat in (1, 4):  # few rows and many
            picked = [pair for pair in rows[:count] for _ in range(repeat)]
            spans = Spans(
                np.array([world.spans[row] for world, row in picked]),
                [world.table for world, _ in picked],
                KEYS,
            )
            qkv = [
                np.stack([getattr(w, n)[row] for w, row in picked]) for n in ("q", "key", "value")
            ]
            positions = np.array([row for _, row in picked])
            tape, pool = Tape(), Pool()
            out = emit_attention(
                tape, pool, (qkv[0], qkv[1], qkv[2]), positions, spans, one.region, one.shape, 2
            )
            tape.run(team(), 2)
            wanted = np.stack([apart[world is two][row] for world, row in picked])
            assert out.tobytes() == wanted.tobytes()


def test_a_span_may_end_before_or_begin_after_its_neighbours() -> None:
    world = World(Case(2, 2, 32, 32, "f32"))
    world.attend(0, KEYS)
    rng = np.random.default_rng(5)
    edges = np.sort(rng.integers(0, KEYS, (KEYS, 2)), axis=1)
    world.spans[:, 1:] = edges
    exact = world.reference()
    found = world.attend(0, KEYS)
    assert np.abs(found - exact).max() <= 2**-24 * (32 + KEYS) * np.abs(world.value).max()
    assert world.attend(40, 41).tobytes() == found[40:41].tobytes()
