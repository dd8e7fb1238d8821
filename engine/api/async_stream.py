"""AsyncPredictionStream: an answer as it is made, for `async for`; a thread makes each fragment.

What PredictionStream says of order, cancelling and leaving early holds here too. A task that is
cancelled while it waits is let go at once; the answer ends at its next token, or at the next
piece of a prompt that is being read, and `result` raises `LMStudioCancelledError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate
from types import TracebackType
from typing import Any, Self, TypeVar

from .background import computed, on_loop, soon
from .options import call_back
from .results import LlmInfo, LlmPredictionStats, PredictionResult
from .results import LlmPredictionFragment as Fragment
from .stream import Fragments, PredictionStream

T = TypeVar("T")


class AsyncPredictionStream:
    """`async for` gives `LlmPredictionFragment`s, then ask for `result()`; or `wait_for_result`."""

    def __init__(self, stream: PredictionStream) -> None:
        self._stream = stream
        self._left = False
        stream._tell_through(lambda callback: on_loop(partial(self._hear, callback)))

    async def start(self) -> None:
        """Say that the answer is wanted; it is made while it is iterated."""
        self._stream.start()

    async def cancel(self) -> None:
        """End the answer after the current fragment; before the start, at once."""
        self._stream.cancel()

    async def aclose(self) -> None:
        """Give up an unfinished answer: `result` then raises `LMStudioCancelledError`."""
        await self.__aexit__(None, None, None)

    async def wait_for_result(self) -> PredictionResult:
        """Make the whole answer and return it."""
        return await self._made(self._stream.wait_for_result)

    def result(self) -> PredictionResult:
        """Return the finished answer, or raise what ended it; does not wait."""
        return self._stream.result()

    @property
    def stats(self) -> LlmPredictionStats | None:
        """Statistics, once finished."""
        return self._stream.stats

    @property
    def model_info(self) -> LlmInfo | None:
        """The model that answered, once finished."""
        return self._stream.model_info

    async def __aenter__(self) -> Self:
        self._stream.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A cancelled task's own error would, raised by `result`, cancel the next task.
        self._give_up(None if isinstance(error, asyncio.CancelledError) else error)
        await asyncio.to_thread(self._stream.close)

    def __aiter__(self) -> AsyncIterator[Fragment]:
        return _Pieces(self._stream, iter(self._stream), self._made)

    async def _made(self, function: Callable[..., T]) -> T:
        try:
            return await computed(function)
        except (asyncio.CancelledError, GeneratorExit):
            self._give_up()
            soon(self._stream.close)
            raise

    def _give_up(self, error: BaseException | None = None) -> None:
        if not self._stream._ended:
            self._left = True
            self._stream._give_up(error)

    def _hear(self, callback: Callable[..., Any], *arguments: object) -> None:
        if not self._left:
            call_back(callback, *arguments)


class _Pieces(AsyncIterator[Fragment]):
    """The fragments. A loop left by `break` lets go of this, which ends the answer there."""

    def __init__(
        self,
        stream: PredictionStream,
        fragments: Fragments,
        made: Callable[[Callable[[], Fragment | None]], Awaitable[Fragment | None]],
    ) -> None:
        self._stream = stream
        self._fragments = fragments
        self._made = made

    async def __anext__(self) -> Fragment:
        # The thread may outlast this call: it must not hold what `break` lets go of.
        fragment = await self._made(partial(_next, self._stream, self._fragments))
        if fragment is None:
            raise StopAsyncIteration
        return fragment

    def __del__(self) -> None:
        if getgeneratorstate(self._fragments) != GEN_CLOSED:
            self._stream._leave()
            # Giving the session back may take a step of the model: not here, on the loop.
            soon(self._fragments.close)


def _next(stream: PredictionStream, fragments: Fragments) -> Fragment | None:
    fragment = next(fragments, None)
    if stream._ended:
        fragments.close()  # given up meanwhile by a task that no longer waits
    return fragment
