"""Products of every type: GB/s of one row, the cost of more, GOPS of a prompt, GB/s of packing.

    python -m benchmarks.bench_matmul [TYPE...] [--rows 8192] [--columns 2048] [--float]

Shares are of this machine's peaks, measured in the same run; `1` reads weights that are in no
cache. `--float` is float32 mode. Bytes are those of the tiles, which codebook types have more of
than their files.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from numpy.typing import NDArray

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.activations import RECORD, SHARE, arrange, quantise
from gnomon.kernels.matmul import Tiles, emit_matmul, rows_at_once
from gnomon.kernels.pool import Pool
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.tape import Tape
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_tiles

from .machine import best_seconds, peaks

FEW, MANY = (1, 2, 4, 8), 512
COLD_BYTES = 100_000_000  # weights visited in turn, so that no cache holds them
REPEAT = 16


def make_tensor(kind: str, rows: int, columns: int) -> TensorInfo:
    """Random blocks, a sixteenth drawn and repeated."""
    block, count = BY_NAME[kind], rows * columns // BY_NAME[kind].elements
    drawn = random_blocks(block, -(-count // REPEAT), np.random.default_rng(1))
    data = np.tile(drawn.reshape(-1), REPEAT)[: count * block.bytes]
    return TensorInfo(kind, block, (rows, columns), data, "little")


def prepared_product(
    pool: Pool, weight: Tiles, x: NDArray[np.float32], integer: bool, threads: int
) -> tuple[Tape, NDArray[np.float32]]:
    """A tape with one product and its result; the activations are prepared here, once."""
    rows, at_once = len(x), rows_at_once(len(x))
    groups = -(-rows // at_once)
    record = pool.take((groups, weight.blocks, RECORD * at_once), np.uint8)
    values = (x, record, *x.shape, x.strides[0], at_once, groups, weight.blocks, SHARE)
    (quantise if integer else arrange).run(0, 1, *values)
    tape = Tape()
    tape.keep(record)
    return tape, emit_matmul(tape, pool, weight, record, rows, integer, threads)


def seconds(weight: Tiles, rows: int, integer: bool, threads: int) -> float:
    """The best time of one product; few rows visit copies of the weight, so that none is cached."""
    pool = Pool()
    copies = [weight]
    if rows < MANY:
        count = COLD_BYTES // weight.data.nbytes
        for _ in range(count):
            copies.append(Tiles(weight.format, weight.data.copy(), weight.rows, weight.columns))
    x = np.random.default_rng(2).standard_normal((rows, weight.columns), dtype=np.float32)
    tapes = [prepared_product(pool, copy, x, integer, threads) for copy in copies]
    return best_seconds([tape for tape, _ in tapes], threads)


def packing(tensor: TensorInfo, threads: int) -> tuple[Tiles, float]:
    """The tiles, and the best of three times it took."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        tiles = load_tiles(tensor, threads)
        times.append(time.perf_counter() - start)
    return tiles, min(times)


def row(kind: str, given: argparse.Namespace, peak: tuple[float, float, float]) -> str:
    """One type's line."""
    tensor = make_tensor(kind, given.rows, given.columns)
    weight, packed = packing(tensor, given.threads)
    integer = weight.format.integer and not given.float
    few = [seconds(weight, rows, integer, given.threads) for rows in FEW]
    many = seconds(weight, MANY, integer, given.threads)
    read = weight.data.nbytes / few[0] / 1e9
    gops = 2 * given.rows * given.columns * MANY / many / 1e9
    best = peak[1] if integer else peak[2]
    more = " ".join(f"{time_s / few[0]:6.2f}" for time_s in few[1:])
    bits = 8 * weight.data.nbytes / given.rows / given.columns
    return (
        f"{kind:8} {bits:6.3f} {read:7.1f} {100 * read / peak[0]:4.0f} % {more} "
        f"{gops:7.0f} {100 * gops / best:4.0f} % {tensor.data.nbytes / packed / 1e9:7.2f}"
    )


def main() -> None:
    """Print a line per type."""
    parser = argparse.ArgumentParser()
    parser.add_argument("types", nargs="*", default=list(FORMATS))
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--columns", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--float", action="store_true")
    given = parser.parse_args()
    peak = peaks(given.threads)
    print(f"peaks: {peak[0]:.0f} GB/s, {peak[1]:.0f} GOPS, {peak[2]:.0f} GFLOPS")
    print(f"{'type':8} {'bits':>6} {'1: GB/s':>7} {'':6} {'2/1':>6} {'4/1':>6} {'8/1':>6}", end=" ")
    print(f"{'512':>7} {'':6} {'pack':>7}")
    for kind in given.types:
        print(row(kind, given, peak), flush=True)


if __name__ == "__main__":
    main()
