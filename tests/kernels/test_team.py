"""The thread team: every part runs once, whoever runs it; nobody is left spinning or behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from gnomon.kernels._jit import DISABLED
from gnomon.kernels.simd import load_i64, store_i64
from gnomon.kernels.tape import Tape, kernel
from gnomon.kernels.team import FLAGS, SPINS, YIELDS, Team, default_threads, pause, team


@kernel("test_count_parts")
def count_parts(part, parts, thread, out):
    store_i64(out + 8 * part, load_i64(out + 8 * part) + 1)


def counting_tape(out: np.ndarray, operations: int) -> Tape:
    tape = Tape()
    for _ in range(operations):
        tape.emit(count_parts, len(out), (out,), [], [out])
    return tape


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_part_of_every_operation_runs_once(threads: int) -> None:
    out = np.zeros(37, np.int64)
    counting_tape(out, 200).run(team(), threads)
    assert (out == 200).all()


def test_two_python_threads_may_use_the_team() -> None:
    outs = [np.zeros(8, np.int64) for _ in range(2)]

    def work(out: np.ndarray) -> None:
        tape = counting_tape(out, 50)
        for _ in range(40):
            with team().lock:
                tape.run(team(), 2)

    workers = [threading.Thread(target=work, args=(out,)) for out in outs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((out == 2000).all() for out in outs)


def test_an_idle_team_uses_no_processor_time() -> None:
    counting_tape(np.zeros(8, np.int64), 10).run(team(), 2)
    deadline = time.monotonic() + 10
    while True:  # workers may still be spinning for the last step
        before = time.process_time()
        time.sleep(0.3)
        if time.process_time() - before < 0.03:
            return
        assert time.monotonic() < deadline


@kernel("test_long_part")
def long_part(part, parts, thread, turns, out):
    for _ in range(turns):
        pause()
    store_i64(out, load_i64(out) + 1)


@kernel("test_copy_word")
def copy_word(part, parts, thread, word, out):
    store_i64(out, load_i64(word))


@pytest.mark.skipif(DISABLED, reason="nobody waits")
def test_no_worker_sleeps_while_a_call_runs() -> None:
    """Nobody would wake it before the next call: one long part would leave the rest to one."""
    own, done, asleep = Team(), np.zeros(1, np.int64), np.full(1, -1)
    tape, flag = Tape(), own._words[FLAGS // 8 + 1 :]
    counting_tape(np.zeros(8, np.int64), 5).run(own, 2)
    deadline = time.monotonic() + 60
    while not flag[0]:  # the worker has its code once it sleeps for the first time
        time.sleep(0.01)
        assert time.monotonic() < deadline
    tape.emit(long_part, 1, (1000 * (SPINS + YIELDS), done), [], [done])
    tape.emit(copy_word, 1, (flag, asleep), [done], [asleep])
    with own.lock:
        tape.run(own, 2)
    own.stop()
    assert (done[0], asleep[0]) == (1, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_team_of_its_own() -> None:
    out = np.zeros(8, np.int64)
    tape = counting_tape(out, 5)
    tape.run(team(), 2)
    child = os.fork()
    if child == 0:
        tape.run(team(), 2)
        os._exit(0 if (out == 10).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_stopped_team_has_no_threads_left() -> None:
    own = Team()
    counting_tape(np.zeros(8, np.int64), 5).run(own, 3)
    own.stop()
    assert not any(thread.is_alive() for thread in own._threads)


def test_the_interpreter_ends_while_workers_sleep() -> None:
    code = (
        "import numpy as np, time\n"
        "from gnomon.kernels.elementwise import add\n"
        "from gnomon.kernels.tape import Tape\n"
        "from gnomon.kernels.team import team\n"
        "x = np.ones((64, 16), np.float32); out = np.zeros_like(x); tape = Tape()\n"
        "tape.emit(add, 8, (x, x, out, 64, 16, 64, 64, 0.0), [x], [out])\n"
        "tape.run(team(), 4); print(out.sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "2048.0", "")


@pytest.mark.parametrize("asked", ["0", "-1", "two", "257", ""])
def test_a_senseless_thread_count_is_refused(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_THREADS", asked)
    with pytest.raises(ValueError, match="GNOMON_THREADS"):
        default_threads()


def test_the_environment_sets_the_thread_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_THREADS", "3")
    assert default_threads() == 3
