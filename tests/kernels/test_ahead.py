"""Two processes compile a tape's kernels: the same answers, whatever becomes of the child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CODE = """
import contextlib, os, signal, sys, time
import numpy as np
from gnomon.kernels import ahead
from gnomon.kernels._jit import cache_folder, on_compile
from gnomon.kernels.tape import Tape, kernel
from gnomon.kernels.simd import load_f32, store_f32
from gnomon.kernels.team import team

def make(i):
    @kernel(f"plus_{i}")
    def plus(part, parts, thread, x, out):
        store_f32(out + 4 * i, load_f32(x) + i)
    return plus

os.environ.setdefault("GNOMON_THREADS", "2")
x, out, tape, told = np.ones(1, np.float32), np.zeros(4, np.float32), Tape(), []
for i in range(4):
    tape.emit(make(i), 1, (x, out), [x], [out[i : i + 1]])

def codes():
    return sum("plus" in name for name in os.listdir(cache_folder()))

def run(tell=told.append, share=ahead.two_compilers):
    with on_compile(tell), share():
        tape.run(team(), 1)
    print(*out, codes())
"""
SUMS = ["1.0", "2.0", "3.0", "4.0", "4"]


def run(cache: Path, code: str) -> list[str]:
    env = {**os.environ, "GNOMON_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", CODE + code],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="no child is forked elsewhere")
class TestTwoCompilers:
    def test_the_child_compiles_what_the_parent_does_not_take(self, tmp_path: Path) -> None:
        code = """
def wait_for_three(name):
    global told
    told += [name] * name.startswith("plus")
    until = time.monotonic() + 200
    while codes() < 3 and time.monotonic() < until:
        time.sleep(0.01)
run(wait_for_three)
print(len(told))
"""
        assert run(tmp_path, code) == [*SUMS, "1"]

    def test_a_child_that_dies_leaves_its_work_to_the_parent(self, tmp_path: Path) -> None:
        code = "ahead._help = lambda kernels, queue: os._exit(len(os.read(queue, 1)))\nrun()"
        assert run(tmp_path, code) == SUMS

    def test_a_child_that_hangs_is_killed(self, tmp_path: Path) -> None:
        code = """
ahead.PATIENCE, ahead._help = 0.1, lambda *_: time.sleep(1000)
run()
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
"""
        assert run(tmp_path, code) == [*SUMS, "none"]

    def test_without_a_process_to_fork_the_parent_compiles_all(self, tmp_path: Path) -> None:
        code = "def refused(): raise OSError('no more')\nos.fork = refused\nrun()"
        assert run(tmp_path, code) == SUMS

    def test_nobody_forks_unasked(self, tmp_path: Path) -> None:
        code = "os.fork = lambda: sys.exit('forked')\nrun(share=contextlib.nullcontext)"
        assert run(tmp_path, code) == SUMS

    def test_nobody_forks_for_one_thread(self, tmp_path: Path) -> None:
        code = "os.environ['GNOMON_THREADS'] = '1'\nos.fork = lambda: sys.exit('forked')\nrun()"
        assert run(tmp_path, code) == SUMS
