"""Attention alone, by cache type: GFLOPS of a prompt of 512, GB/s of one row at depth.

    python benchmarks/bench_attention.py [--heads 32/8x64 ...] [--types f16 q8_0 q8_0/f16 ...]

`32/8x64` is 32 heads over 8 key heads of 64 numbers; `q8_0/f16` is keys/values. The best of the
runs that fit in half a second, on `--threads` threads. GB/s counts the cache's bytes that are read,
GFLOPS the products of queries with keys and of p with values that the mask leaves.
"""

import argparse
import platform
import time
from typing import Any

import numpy as np

from gnomon.kernels.attention import Shape, emit_attention
from gnomon.kernels.kv_pages import PAGE, Region, emit_store, region_after
from gnomon.kernels.pool import Pool, aligned
from gnomon.kernels.spans import Spans
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "q8_0/f16")
PROMPT, DEPTHS = 512, (4096, 32768)
SECONDS = 0.5


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

    def seconds(self, rows: int, threads: int) -> float:
        """Best time of attending with the last `rows` positions, their storing included."""
        positions = np.arange(self.length - rows, self.length)
        spans = Spans(self._spans(positions), [self.table] * rows, self.length)
        qkv = self._draw(rows, self.heads), self._draw(rows), self._draw(rows)
        tape, shape = Tape(), Shape(self.heads, self.dim**-0.5)
        pool = Pool()
        out = emit_attention(tape, pool, qkv, positions, spans, self.region, shape, threads)
        times = [_run(tape, threads) for _ in range(3)]
        times = [_run(tape, threads) for _ in range(max(5, int(SECONDS / max(times))))]
        if not np.isfinite(out).all():
            raise SystemExit(f"{self.region.key_type}: a result that is not a number")
        return min(times)


def _run(tape: Tape, threads: int) -> float:
    with team().lock:
        start = time.perf_counter()
        tape.run(team(), threads)
        return time.perf_counter() - start


def prompt_gflops(heads: tuple[int, int, int], types: tuple[str, str], threads: int) -> float:
    """A causal prompt: row i sees i + 1 keys."""
    seen = PROMPT * (PROMPT + 1) // 2
    seconds = Cache(heads, types, PROMPT).seconds(PROMPT, threads)
    return 4e-9 * heads[0] * heads[2] * seen / seconds


def depth_gbytes(
    heads: tuple[int, int, int], types: tuple[str, str], depth: int, threads: int
) -> float:
    """One row that sees `depth` keys."""
    cache = Cache(heads, types, depth)
    size = cache.region.end / PAGE * depth
    return 1e-9 * size / cache.seconds(1, threads)


def parse_heads(text: str) -> tuple[int, int, int]:
    """32/8x64 -> 32, 8, 64."""
    heads, rest = text.split("/")
    kv_heads, dim = rest.split("x")
    return int(heads), int(kv_heads), int(dim)


def main() -> None:
    """Print one row per cache type."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--heads", nargs="*", default=["32/8x64", "9/3x64"])
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, {given.threads} threads")
    for heads in map(parse_heads, given.heads):
        print(f"{heads[0]} heads, {heads[1]} key heads of {heads[2]}")
        columns = "".join(f"{f'GB/s at {depth}':>15}" for depth in DEPTHS)
        print(f"{'type':>10}{'prompt GFLOPS':>15}{columns}")
        for text in given.types:
            key, _, value = text.partition("/")
            types = (key, value or key)
            row = [prompt_gflops(heads, types, given.threads)]
            row += [depth_gbytes(heads, types, depth, given.threads) for depth in DEPTHS]
            print(f"{text:>10}" + "".join(f"{number:15.1f}" for number in row))


if __name__ == "__main__":
    main()
