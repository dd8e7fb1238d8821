"""The kernel benches run under pytest-benchmark, and print rates beside this machine's peaks.

    pip install -e '.[bench]'
    pytest benchmarks/bench_matmul.py benchmarks/bench_attention.py [--types A,B] [--threads N]

The best run of each counts. GB/s, GOPS and GFLOPS, and their shares of the peaks measured first,
are in the table at the end and in the `extra_info` of `--benchmark-json`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

from .machine import peaks

RATES = ("GB/s", "GOPS", "GFLOPS")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--types", default="", help="types, with commas between them")
    parser.addoption("--shape", default="8192x2048", help="rows x columns of a weight")
    parser.addoption("--float32", action="store_true", help="float32 mode")
    parser.addoption("--threads", type=int, default=os.cpu_count() or 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kind` runs over the types asked for, else over the bench's TYPES."""
    if "kind" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--types")
        metafunc.parametrize("kind", asked.split(",") if asked else metafunc.module.TYPES)


@dataclass
class Bench:
    """Times one thing and notes its rates."""

    benchmark: Any
    name: str
    threads: int
    shape: tuple[int, ...]
    float32: bool
    peaks: dict[str, float]
    lines: list[str] = field(repr=False)

    def run(
        self,
        work: Callable[[], object],
        read: float = 0,
        integer_products: float = 0,
        float_products: float = 0,
    ) -> None:
        """Repeat `work`, which reads so many bytes and does so many operations."""
        work()  # compiles
        self.benchmark(work)
        best = self.benchmark.stats.stats.min
        line = f"{self.name:40}{1e3 * best:10.3f} ms"
        done = (read, integer_products, float_products)
        for unit, amount in zip(RATES, done, strict=True):
            if amount:
                rate = amount / best / 1e9
                share = rate / self.peaks[unit]
                self.benchmark.extra_info[unit] = rate
                self.benchmark.extra_info[f"share of {unit}"] = share
                line += f"{rate:9.1f} {unit}{share:6.0%}"
        self.lines.append(line)

    def play(self, tape: Tape) -> None:
        """Run a tape."""
        with team().lock:
            tape.run(team(), self.threads)


LINES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def machine_peaks(pytestconfig: pytest.Config) -> dict[str, float]:
    """What this machine can do at most."""
    found = dict(zip(RATES, peaks(pytestconfig.getoption("--threads")), strict=True))
    text = ", ".join(f"{rate:.0f} {unit}" for unit, rate in found.items())
    pytestconfig.stash[LINES] = [f"peaks: {text}"]
    return found


@pytest.fixture
def bench(benchmark: Any, request: pytest.FixtureRequest, machine_peaks: dict[str, float]) -> Bench:
    """The benchmark fixture, with rates."""
    option = request.config.getoption
    shape = tuple(map(int, option("--shape").split("x")))
    return Bench(
        benchmark,
        request.node.name,
        option("--threads"),
        shape,
        option("--float32"),
        machine_peaks,
        request.config.stash[LINES],
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table of rates."""
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)
