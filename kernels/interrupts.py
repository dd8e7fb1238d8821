"""Ctrl-C while kernels are compiled has its effect, and leaves what Numba knows whole.

LLVM hands over machine code by calling Python back. Python looks for signals when it runs its own
code: after seconds within LLVM that is the callback, and what is raised there is printed and
forgotten, as it is where objects are given up. An import that ends half way cannot be made again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Functions of llvmlite and Numba that Python calls where nobody can be told of an exception.
DEAF = ("_raw_object_cache_notify", "_raw_object_cache_getbuffer", "_on_type_disposal", "__del__")


@contextmanager
def held(everywhere: bool = False) -> Iterator[None]:
    """Within the block SIGINT waits for its end where an exception would be lost, or `everywhere`.

    A caller's own handler is called then as Python would have; other threads have none.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[FrameType | None] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if everywhere or _is_deaf(frame):
            late.append(frame)
        else:
            handler(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if late:
            handler(signal.SIGINT, late[0])


def _is_deaf(frame: FrameType | None) -> bool:
    while frame and frame.f_code.co_name not in DEAF:
        frame = frame.f_back
    return frame is not None
