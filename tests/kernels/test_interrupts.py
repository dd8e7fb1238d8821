"""Ctrl-C during a compilation ends it, wherever it comes, and the next attempt works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from gnomon.kernels.interrupts import held

ROOT = Path(__file__).parent.parent.parent
CODE = """
import signal
import numpy as np
from llvmlite.binding import ExecutionEngine
from gnomon.kernels.elementwise import add
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have it ignored
orders = [signal.SIGINT]

def _raw_object_cache_notify(self, data, told=ExecutionEngine._raw_object_cache_notify):
    while orders:
        signal.raise_signal(orders.pop())
    told(self, data)

x = np.ones((2, 16), np.float32)
out, tape = np.zeros_like(x), Tape()
tape.emit(add, 1, (x, x, out, 2, 16, 64, 64, 0.0), [x], [out])
PLACE
for _ in range(2):
    try:
        tape.run(team(), 1)
        print(out[0, 0])
    except KeyboardInterrupt:
        print("interrupted")
"""
IN_CALLBACK = """
import llvmlite.binding.executionengine as engine
engine._notify_c_hook = engine._ObjectCacheNotifyFunc(_raw_object_cache_notify)
"""
IN_IMPORT = """
import sys
class Finder:
    def find_spec(name, *rest):
        if name == "numba.core.types.misc" and orders:
            signal.raise_signal(orders.pop())
sys.meta_path.insert(0, Finder)
"""
IN_PYTHON = """
from gnomon.kernels import compiler
made = compiler.CFunc.compile
def compile(self):
    while orders:
        signal.raise_signal(orders.pop())
    made(self)
compiler.CFunc.compile = compile
"""


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, even where the tests run in the background without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "place", [IN_CALLBACK, IN_IMPORT, IN_PYTHON], ids=["callback", "import", "Python"]
)
def test_it_ends_a_compilation_and_the_next_works(place: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("PLACE", place)],
        env={**os.environ, "GNOMON_CACHE": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.split() == ["interrupted", "2.0"]
    assert not done.stderr


class Given:
    """Something that is given up, which Ctrl-C interrupts."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)
        self._told.append("given up")


def test_where_an_exception_would_be_lost_it_waits_for_the_end() -> None:
    told: list[str] = []

    def give_up() -> None:
        with held():
            Given(told)
            told.append("end")

    with pytest.raises(KeyboardInterrupt):
        give_up()
    assert told == ["given up", "end"]


def test_elsewhere_it_waits_if_it_is_told_to() -> None:
    told: list[str] = []

    def interrupted() -> None:
        with held(everywhere=True):
            signal.raise_signal(signal.SIGINT)
            told.append("end")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert told == ["end"]


def test_the_callers_handler_is_the_one_that_is_told() -> None:
    told: list[str] = []

    def handler(number: int, frame: FrameType | None) -> None:
        told.append(signal.Signals(number).name)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with held():
            signal.raise_signal(signal.SIGINT)
            Given([])
            assert told == ["SIGINT"]
        assert told == ["SIGINT", "SIGINT"]
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kept", [signal.SIG_IGN, signal.SIG_DFL])
def test_who_handles_nothing_is_left_alone(kept: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, kept)
    try:
        with held():
            assert signal.getsignal(signal.SIGINT) is kept
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_handlers() -> None:
    found: list[object] = []

    def look() -> None:
        with held():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
