"""Attention alone, by cache type: GFLOPS of a prompt of 512, GB/s of one row at depth.

    pytest benchmarks/bench_attention.py [--types f16,q8_0,q8_0/f16]

`32/8x64` is 32 heads over 8 key heads of 64 numbers; `q8_0/f16` is keys/values. GB/s counts the
cache's bytes that are read, which up to 32k positions may lie in the last cache; GFLOPS the
products of queries with keys and of p with values that the mask leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.kernels.attention import Shape, emit_attention
from gnomon.kernels.kv_pages import PAGE, Region, emit_store, region_after
from gnomon.kernels.pool import Pool, aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

from .conftest import Bench

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "q8_0/f16")
HEADS = ("32/8x64", "9/3x64")
PROMPT, DEPTHS = 512, (4096, 32768)


class Cache:
    """One layer's pages for `length` positions, filled with normal numbers."""

    def __init__(self, heads: tuple[int, int, int], types: tuple[str, str], length: int) -> None:
        self.rng = np.random.default_rng(1)
        self.heads, self.kv_heads, self.dim = heads
        self.region: Region = region_after(0, self.kv_heads, (self.dim, self.dim), types)
        # In one piece: huge pages, as where a page holds all layers of a model.
        self.memory = aligned(-(-length // PAGE) * self.region.end)
        self.table = np.arange(-(-length // PAGE)) * self.region.end + self.memory.ctypes.data
        self.length = length
        for start in range(0, length, PROMPT):
            positions = np.arange(start, min(length, start + PROMPT))
            tape, spans = Tape(), self._spans(positions)
            key, value = self._draw(len(positions)), self._draw(len(positions))
            emit_store(tape, key, value, positions, spans, self.region)
            _run(tape, 2)

    def _draw(self, rows: int, heads: int = 0) -> Any:
        shape = (rows, heads or self.kv_heads, self.dim)
        return self.rng.standard_normal(shape, dtype=np.float32)

    def _spans(self, positions: Any) -> Any:
        table = np.full(len(positions), self.table.ctypes.data)
        return np.stack([table, 0 * positions, positions], axis=1)

    def attending(self, rows: int, threads: int) -> Tape:
        """A tape that attends with the last `rows` positions, their storing included."""
        positions = np.arange(self.length - rows, self.length)
        spans = Spans(self._spans(positions), [self.table] * rows, self.length)
        qkv = self._draw(rows, self.heads), self._draw(rows), self._draw(rows)
        tape, pool, shape = Tape(), Pool(), Shape(self.heads, self.dim**-0.5)
        out = emit_attention(tape, pool, qkv, positions, spans, self.region, shape, threads)
        tape.keep((qkv, positions, spans, pool, out))
        _run(tape, threads)
        assert np.isfinite(out).all(), f"{self.region.key_type}: a result that is not a number"
        return tape


def _run(tape: Tape, threads: int) -> None:
    with team().lock:
        tape.run(team(), threads)


@pytest.mark.parametrize("heads", HEADS)
def test_prompt(heads: str, kind: str, bench: Bench) -> None:
    """A causal prompt: row i sees i + 1 keys."""
    cache = Cache(parse_heads(heads), parse_types(kind), PROMPT)
    seen = PROMPT * (PROMPT + 1) // 2
    tape = cache.attending(PROMPT, bench.threads)
    bench.run(lambda: bench.play(tape), float_products=4 * cache.heads * cache.dim * seen)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("heads", HEADS)
def test_one_row(heads: str, depth: int, kind: str, bench: Bench) -> None:
    """One row that sees `depth` keys."""
    cache = Cache(parse_heads(heads), parse_types(kind), depth)
    tape = cache.attending(1, bench.threads)
    bench.run(lambda: bench.play(tape), read=cache.region.end / PAGE * depth)


def parse_heads(text: str) -> tuple[int, int, int]:
    """32/8x64 -> 32, 8, 64."""
    heads, rest = text.split("/")
    kv_heads, dim = rest.split("x")
    return int(heads), int(kv_heads), int(dim)


def parse_types(text: str) -> tuple[str, str]:
    """q8_0/f16 -> keys q8_0, values f16; f16 -> both."""
    key, _, value = text.partition("/")
    return key, value or key
