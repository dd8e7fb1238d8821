"""Compile a tape's kernels in two processes: each takes the next name from one queue.

A child is forked for it and leaves its code in the cache. Two threads would not do: Numba and LLVM
let only one of them work. Only who owns the whole process (the command line) asks for this: a fork
takes no other thread along, whatever it held.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ._jit import cache_folder, code_path, compile_lock, forget_listeners
from .team import default_threads

if TYPE_CHECKING:
    from .tape import Kernel

LEAST = 2  # kernels that are worth a child
MOST = 256  # kernels a queue holds: one byte each
PATIENCE = 120.0  # seconds for a child whose queue is empty: the slowest kernel takes about 6

_shared = 0


@contextmanager
def two_compilers() -> Iterator[None]:
    """Within the block a forked child helps to compile, where two threads may run."""
    global _shared
    _shared += 1
    try:
        yield
    finally:
        _shared -= 1


def compile_together(kernels: Sequence[Kernel]) -> None:
    """Have the code of these kernels in the cache, if a child may help; else nothing.

    What a child does not bring (it failed, was killed) is compiled when it is asked for.
    """
    if not (_shared and sys.platform == "linux" and default_threads() > 1 and cache_folder()):
        return
    missing = [k for k in dict.fromkeys(kernels) if not os.path.exists(code_path(k.key) or "")]
    if not LEAST <= len(missing) <= MOST:
        return
    # Those with most arguments take longest (attention): they go first.
    some = sorted(missing, key=lambda kernel: -len(kernel.parameters))
    with compile_lock:
        queue = _queue(len(some))
        try:
            _share(some, queue)
        finally:
            os.close(queue)


def _queue(count: int) -> int:
    """A pipe's end to read 0, 1, ... count - 1 from, a byte each, by whoever comes first."""
    end, start = os.pipe()
    os.write(start, bytes(range(count)))
    os.close(start)
    return end


def _share(kernels: Sequence[Kernel], queue: int) -> None:
    try:
        child = os.fork()
    except OSError:  # no more processes: none helps
        return
    if not child:
        _help(kernels, queue)
    ended = False
    try:
        _compile(kernels, queue)
        ended = _ended(child, time.monotonic() + PATIENCE)
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _compile(kernels: Sequence[Kernel], queue: int) -> None:
    while number := os.read(queue, 1):
        _ = kernels[number[0]].address


def _help(kernels: Sequence[Kernel], queue: int) -> None:
    """The child's part; never returns. Its errors come again where the code is asked for."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        forget_listeners()
        _compile(kernels, queue)
    finally:
        os._exit(0)


def _ended(child: int, until: float) -> bool:
    """Wait for the child, at most until then."""
    with suppress(ChildProcessError):  # whoever ignores SIGCHLD finds it gone
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
    return True
