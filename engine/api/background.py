"""Work for asynchronous callers: answers are made in a pool of threads, callbacks run on the loop.

Everything here is asyncio; anyio and trio are not needed and not supported.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from .options import call_back

T = TypeVar("T")

# A pool beside asyncio's own: long answers must not hold up what else runs there, names that are
# looked up and the short calls of this API. Answers beyond its size wait for their turn.
_answers: ThreadPoolExecutor


def _new_pool() -> None:
    global _answers
    _answers = ThreadPoolExecutor(thread_name_prefix="gnomon-answer")


_new_pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_pool)  # the parent's threads do not exist there


async def computed(function: Callable[..., T], *arguments: object) -> T:
    """What a long computation returns or raises, made in a thread of the pool."""
    work = partial(copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_answers, work)


def soon(function: Callable[[], object]) -> None:
    """Call it in a thread of the pool, some time."""
    with suppress(RuntimeError):  # the interpreter ends: nothing needs to be given back
        _answers.submit(function)


def on_loop(callback: Callable[..., Any]) -> Callable[..., None]:
    """A callback for other threads to call; it runs on the event loop of now, in order.

    What it raises is logged.
    """
    loop = asyncio.get_running_loop()

    def tell(*arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(call_back, callback, *arguments)

    return tell
