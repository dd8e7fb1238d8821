"""The thread team: a list of kernel calls, each cut in parts that any thread may claim.

One step of a model is one native call: threads take parts of the current group of operations from
an atomic counter, and the group ends when its last part is done. A thread that the system has put
aside delays nobody but itself. Which thread does a part never changes a result: every output
belongs to one part.

Waiting threads spin for a bounded time, then yield, and between calls sleep in Python until the
next one; an idle team uses no CPU. Within a call nobody sleeps, for nobody would wake it: a prompt
of 512 tokens took 1.4 times as long. Measured on 2 cores: 0.4-0.8 us to share an operation, where
Numba's workqueue takes 74 us.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import inspect
import os
import platform
import threading
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from ._jit import DISABLED, inline, native
from .simd import I32, I64, at, i64, intrinsic, load_i64, primitive, void

# Words of shared state, each on a cache line of its own (64 bytes = 8 words).
STATE, DONE, GROUP, STOP, ACTIVE, YIELD, FLAGS = (64 * line for line in range(7))
SPINS, YIELDS = 4000, 2000
MAX_THREADS = 256
MAX_PARTS = 4096
OP_WORDS = 4  # function, arguments, parts, whether the next operation may run beside this one


def _pointer(b, address, kind=I64):
    return b.inttoptr(address, kind.as_pointer())


def _lower_compare_swap(b, address, old, new):
    swapped = b.cmpxchg(_pointer(b, address), old, new, "acq_rel", "acquire")
    return b.zext(b.extract_value(swapped, 1), I64)


def _lower_pause(b):
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        intrinsic(b, "llvm.x86.sse2.pause", ir.VoidType())
    elif machine in ("aarch64", "arm64"):
        intrinsic(b, "llvm.aarch64.hint", ir.VoidType(), ir.Constant(I32, 1))


def _lower_call(b, function, args, part, parts, thread):
    kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
    b.call(_pointer(b, function, kind), [args, part, parts, thread])


def _lower_yield(b, function):
    b.call(_pointer(b, function, ir.FunctionType(I32, [])), [])


@primitive(i64, (i64,), lambda b, a: b.load_atomic(_pointer(b, a), "acquire", 8))
def atomic_load(address):
    """The word at `address`, with all that was written before it was."""
    return int(at(address, np.int64, 1)[0])


@primitive(void, (i64, i64), lambda b, a, v: b.store_atomic(v, _pointer(b, a), "release", 8))
def atomic_store(address, value):
    """Write the word at `address` after all that was written before."""
    at(address, np.int64, 1)[0] = value


@primitive(i64, (i64, i64), lambda b, a, v: b.atomic_rmw("add", _pointer(b, a), v, "acq_rel"))
def atomic_add(address, value):
    """Add to the word at `address`; returns what it was."""
    word = at(address, np.int64, 1)
    word[0] += value
    return int(word[0] - value)


@primitive(i64, (i64, i64, i64), _lower_compare_swap)
def compare_swap(address, old, new):
    """Write `new` if the word is `old`; 1 if it was."""
    word = at(address, np.int64, 1)
    same = int(word[0] == old)
    word[0] = new if same else word[0]
    return same


@primitive(void, (), _lower_pause)
def pause():
    """Tell the core that this is a waiting loop."""


@primitive(void, (i64,) * 5, _lower_call)
def call(function, args, part, parts, thread):
    """Run one part of an operation."""
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(function)(args, part, parts, thread)


@primitive(void, (i64,), _lower_yield)
def call_yield(function):
    """Give the core to another thread."""


@inline
def claim_parts(words, generation, thread):
    """Take parts of the generation's group until none is left.

    The state word holds generation, total and next part together, so a claim that succeeds proves
    that the group's description, read after it, is this generation's: it cannot be replaced before
    the part is done.
    """
    while True:
        state = atomic_load(words + STATE)
        total, part = (state >> 16) & 0xFFFF, state & 0xFFFF
        if state >> 32 != generation or part >= total:
            return
        if not compare_swap(words + STATE, state, state + 1):
            continue
        op = atomic_load(words + GROUP)
        while part >= load_i64(op + 16):
            part -= load_i64(op + 16)
            op += 8 * OP_WORDS
        call(load_i64(op), load_i64(op + 8), part, load_i64(op + 16), thread)
        atomic_add(words + DONE, 1)


@inline
def wait_a_little(words, turns):
    if turns > SPINS and load_i64(words + YIELD):
        call_yield(load_i64(words + YIELD))
    else:
        pause()


def work_until_idle(words, thread):
    """A worker's loop: take part in each group as it appears. Returns when idle for long, or
    stopped.
    """
    seen, turns = 0, 0
    while True:
        state = atomic_load(words + STATE)
        if state >> 32 != seen:
            seen, turns = state >> 32, 0
            if thread < atomic_load(words + ACTIVE):
                claim_parts(words, seen, thread)
        turns += 1
        if atomic_load(words + STOP):
            return
        if turns > SPINS + YIELDS:
            turns = SPINS
            # Nobody wakes a worker before the next call: it stays as long as this one runs.
            flag = words + FLAGS + 8 * thread
            if thread >= atomic_load(words + ACTIVE) and compare_swap(flag, 0, 1):
                if thread >= atomic_load(words + ACTIVE):
                    return
                atomic_store(flag, 0)
        wait_a_little(words, turns)


@inline
def share(words, op, total):
    """Publish one group, help with it, and return when every part is done."""
    atomic_store(words + DONE, 0)
    atomic_store(words + GROUP, op)
    generation = ((atomic_load(words + STATE) >> 32) + 1) & 0x7FFFFFFF
    atomic_store(words + STATE, (generation << 32) | (total << 16))
    claim_parts(words, generation, 0)
    turns = 0
    while atomic_load(words + DONE) < total:
        turns += 1
        wait_a_little(words, turns)


@inline
def run_alone(op, end):
    while op < end:
        for part in range(load_i64(op + 16)):
            call(load_i64(op), load_i64(op + 8), part, load_i64(op + 16), 0)
        op += 8 * OP_WORDS


def run_operations(words, op, count):
    """Run `count` operations in order; those of one group side by side."""
    end = op + 8 * OP_WORDS * count
    alone = atomic_load(words + ACTIVE) == 1
    while op < end:
        last, total = op, load_i64(op + 16)
        while load_i64(last + 24):
            last += 8 * OP_WORDS
            total += load_i64(last + 16)
        after = last + 8 * OP_WORDS
        if alone or total == 1:
            run_alone(op, after)
        else:
            share(words, op, total)
        op = after


@functools.cache
def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """A C function of whole numbers, called without the GIL."""
    if DISABLED:
        return function
    count = len(inspect.signature(function).parameters)
    address = native(function.__name__, lambda: function, count)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * count)(address)


def _serve(words: NDArray[np.int64], thread: int, wake: threading.Semaphore) -> None:
    base, work = words.ctypes.data, _compiled(work_until_idle)
    while not words[STOP // 8]:
        wake.acquire()
        work(base, thread)


class Team:
    """The process's worker threads. Whoever runs operations holds `lock` for the whole step."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._words = np.zeros(FLAGS // 8 + MAX_THREADS + 8, np.int64)
        self._words[YIELD // 8] = _sched_yield()
        self._wakes: list[threading.Semaphore] = []
        self._threads: list[threading.Thread] = []

    def run(self, operations: NDArray[np.int64], threads: int) -> None:
        """Run operations (int64 [n, 4]) on `threads` threads, the caller's among them."""
        self._words[ACTIVE // 8] = threads
        try:
            if threads > 1:
                self._start(threads)
                self._wake(threads)
            run = _compiled(run_operations)
            run(self._words.ctypes.data, operations.ctypes.data, len(operations))
        finally:
            self._words[ACTIVE // 8] = 0

    def _start(self, threads: int) -> None:
        for thread in range(len(self._threads) + 1, min(threads, MAX_THREADS)):
            wake = threading.Semaphore(0)
            self._words[FLAGS // 8 + thread] = 1
            args = (self._words, thread, wake)
            worker = threading.Thread(
                target=_serve, args=args, name=f"gnomon-{thread}", daemon=True
            )
            self._wakes.append(wake)
            self._threads.append(worker)
            worker.start()

    def _wake(self, threads: int) -> None:
        flags = self._words[FLAGS // 8 + 1 : FLAGS // 8 + threads]
        for index, flag in enumerate(flags.tolist()):
            if flag:
                flags[index] = 0
                self._wakes[index].release()

    def stop(self) -> None:
        """End the worker threads."""
        self._words[STOP // 8] = 1
        for wake in self._wakes:
            wake.release()
        for worker in self._threads:
            worker.join(1.0)


def _sched_yield() -> int:
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (AttributeError, OSError, TypeError):  # Windows: keep spinning
        return 0


def default_threads() -> int:
    """GNOMON_THREADS, else as many threads as cores this process may use."""
    asked = os.environ.get("GNOMON_THREADS")
    if asked is None:
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    if not asked.isdecimal() or not 1 <= int(asked) <= MAX_THREADS:
        raise ValueError(
            f"GNOMON_THREADS: {asked!r}, expected a whole number from 1 to {MAX_THREADS}"
        )
    return int(asked)


_team = Team()


def team() -> Team:
    """This process's team."""
    return _team


def _after_fork() -> None:
    global _team
    _team = Team()  # the parent's threads do not exist here


def _at_exit() -> None:
    _team.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
