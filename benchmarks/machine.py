"""What this machine can do at most: bytes read, byte products and float32 products per second."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnomon.kernels.dots import add_pairs, dot4, settled
from gnomon.kernels.isa import NARROW, PAIRS
from gnomon.kernels.pool import aligned
from gnomon.kernels.requests import Requests
from gnomon.kernels.simd import (
    fma,
    isplat,
    load_f32x16,
    load_i32x16,
    splat,
    store_f32x16,
    store_i32x16,
    zeros,
)
from gnomon.kernels.tape import Kernel, Tape
from gnomon.kernels.team import team
from gnomon.kernels.trace import i32x16, unrolled

READ_BYTES, READS = 1 << 28, 4
TURNS = 2_000_000
CHAINS = 5 if NARROW else 10  # as many as fit the registers
# As weights are asked for; lines that are to stay in the last cache come 7 % slower.
_ask = Requests(512, rows=1, stays=False).whole()


def best_seconds(tapes: Sequence[Tape], threads: int, at_least: float = 0.4) -> float:
    """The shortest run of a tape; all run in turn, for `at_least` seconds and five times."""
    best, turns, end = float("inf"), 0, time.perf_counter() + at_least
    with team().lock:
        while turns < 5 or time.perf_counter() < end:
            turns += 1
            for tape in tapes:
                start = time.perf_counter()
                tape.run(team(), threads)
                best = min(best, time.perf_counter() - start)
    return best


@unrolled(lambda totals, address: totals)
def add_vectors(totals, address):  # type: ignore[no-untyped-def]
    """totals + 8 vectors."""
    return tuple(total + load_f32x16(address + 64 * i) for i, total in enumerate(totals))


@unrolled(lambda totals: totals[0])
def added(totals):  # type: ignore[no-untyped-def]
    """The sum of all; a loop over them could raise, for all that Numba knows."""
    return functools.reduce(operator.add, totals)


def _read(part, parts, thread, source, size, out):  # type: ignore[no-untyped-def]
    totals = zeros(8)
    for i in range(size * part // parts // 512 * 512, size * (part + 1) // parts // 512 * 512, 512):
        _ask(source + i)
        totals = add_vectors(totals, source + i)
    store_f32x16(out + 64 * part, added(totals))


@unrolled(lambda zero: (i32x16,) * CHAINS)
def chains(zero):  # type: ignore[no-untyped-def]
    """One total for each chain."""
    return (zero,) * CHAINS


@unrolled(lambda totals, u, s: totals)
def dot_all(totals, u, s):  # type: ignore[no-untyped-def]
    """Four products of bytes a lane into each total, by the instruction that small codes have."""
    if PAIRS:
        return tuple(settled(add_pairs(total, total, s)) for total in totals)
    return tuple(dot4(total, u, s) for total in totals)


def _dots(part, parts, thread, source, turns, out):  # type: ignore[no-untyped-def]
    u, s, zero = load_i32x16(source), load_i32x16(source + 64), isplat(0)
    totals = chains(zero)
    for _ in range(turns):
        totals = dot_all(totals, u, s)
    store_i32x16(out + 64 * part, added(totals))


@unrolled(lambda totals, u, s: totals)
def fma_all(totals, u, s):  # type: ignore[no-untyped-def]
    """One fma into each total."""
    return tuple(fma(u, s, total) for total in totals)


def _fmas(part, parts, thread, source, turns, out):  # type: ignore[no-untyped-def]
    u, s, totals = load_f32x16(source), splat(0.5), zeros(CHAINS)
    for _ in range(turns):
        totals = fma_all(totals, u, s)
    store_f32x16(out + 64 * part, added(totals))


def peaks(threads: int) -> tuple[float, float, float]:
    """GB/s read, GOPS of byte products, GFLOPS of float32 products, on `threads` threads."""
    source, per_turn = aligned(128), threads * TURNS * CHAINS / 1e9
    dots, fmas = (
        best_seconds([_tape(body, threads, source, TURNS)], threads) for body in (_dots, _fmas)
    )
    return read_speed(threads), 128 * per_turn / dots, 32 * per_turn / fmas


def read_speed(threads: int) -> float:
    """GB/s that `threads` threads read from memory, at best."""
    return READ_BYTES / best_seconds([_reading(threads)], threads) / 1e9


def reader(threads: int) -> Callable[[], float]:
    """A function that reads memory a few times and returns the GB/s: what is shared with others
    gives now more, now less.
    """
    tape = _reading(threads)

    def read() -> float:
        with team().lock:
            tape.run(team(), threads)  # wakes the threads
            start = time.perf_counter()
            for _ in range(READS):
                tape.run(team(), threads)
        return READS * READ_BYTES / (time.perf_counter() - start) / 1e9

    return read


def _reading(threads: int) -> Tape:
    source = aligned(READ_BYTES)
    source[:] = 1
    return _tape(_read, threads, source, READ_BYTES)


def _tape(body: Callable[..., None], threads: int, source: NDArray[np.uint8], size: int) -> Tape:
    tape, out = Tape(), aligned(64 * threads)
    tape.keep((source, out))
    tape.emit(Kernel(f"peak{body.__name__}", body), threads, (source, size, out), [], [out])
    return tape
