"""AsyncPredictionStream: the order of calls, cancelling, leaving early."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from gnomon.engine.api.async_models import AsyncLLM
from gnomon.engine.api.async_stream import AsyncPredictionStream
from gnomon.engine.api.llm import LLM
from gnomon.engine.errors import LMStudioCancelledError, LMStudioRuntimeError

GREEDY = {"temperature": 0, "repeatPenalty": False}


def fed(llm: LLM) -> list[int]:
    model: Any = llm._instance.model
    return model.fed  # type: ignore[no-any-return]


def opened(llm: LLM, **options: Any) -> Coroutine[Any, Any, AsyncPredictionStream]:
    return AsyncLLM(llm).respond_stream("hi", config=GREEDY, **options)


async def idle(llm: LLM) -> None:
    """Until no prediction holds the model."""
    while llm._instance._users:
        await asyncio.sleep(0.001)


def test_fragments_join_to_the_content(toy: LLM) -> None:
    async def read() -> tuple[str, str]:
        stream = await opened(toy)
        said = "".join([fragment.content async for fragment in stream])
        return said, stream.result().content

    assert asyncio.run(read()) == ("You said: hi", "You said: hi")


def test_nothing_runs_before_the_stream_is_iterated(toy: LLM) -> None:
    async def start() -> None:
        await (await opened(toy)).start()

    asyncio.run(start())
    assert fed(toy) == []


def test_open_streams_take_turns(toy: LLM) -> None:
    async def read_both() -> list[str]:
        streams = [await AsyncLLM(toy).respond_stream(x, config=GREEDY) for x in "ab"]
        readers = [aiter(stream) for stream in streams]
        said = [[(await anext(reader)).content for reader in readers] for _ in "You said: x"]
        return said[-1]

    assert asyncio.run(read_both()) == ["a", "b"]


def test_result_before_the_start_is_a_runtime_error(toy: LLM) -> None:
    with pytest.raises(LMStudioRuntimeError, match="not been initiated"):
        asyncio.run(opened(toy)).result()


def test_result_while_running_is_a_runtime_error(toy: LLM) -> None:
    async def ask() -> None:
        stream = await opened(toy)
        pieces = aiter(stream)
        await anext(pieces)
        stream.result()

    with pytest.raises(LMStudioRuntimeError, match="not yet been completed"):
        asyncio.run(ask())


def test_an_answer_is_received_once(toy: LLM) -> None:
    async def ask() -> None:
        stream = await opened(toy)
        await stream.wait_for_result()
        with pytest.raises(LMStudioRuntimeError, match="already been received"):
            await stream.wait_for_result()
        with pytest.raises(LMStudioRuntimeError, match="already been received"):
            aiter(stream)

    asyncio.run(ask())


def test_starting_twice_is_a_runtime_error(toy: LLM) -> None:
    async def start() -> None:
        async with await opened(toy) as stream:
            await stream.start()

    with pytest.raises(LMStudioRuntimeError, match="already been sent"):
        asyncio.run(start())


def test_stats_and_model_info_come_with_the_end(toy: LLM) -> None:
    async def ask() -> None:
        stream = await opened(toy)
        assert (stream.stats, stream.model_info) == (None, None)
        result = await stream.wait_for_result()
        assert (stream.stats, stream.model_info) == (result.stats, result.model_info)

    asyncio.run(ask())


def test_cancel_ends_the_loop_after_the_current_fragment(toy: LLM) -> None:
    async def read() -> tuple[str, str]:
        stream = await opened(toy)
        said = []
        async for fragment in stream:
            said.append(fragment.content)
            if len(said) == 2:
                await stream.cancel()
        return "".join(said), stream.result().stats.stop_reason

    assert asyncio.run(read()) == ("Yo", "userStopped")


def test_cancel_before_the_start_means_no_answer(toy: LLM) -> None:
    async def ask() -> str:
        stream = await opened(toy)
        await stream.cancel()
        return (await stream.wait_for_result()).content

    assert (asyncio.run(ask()), fed(toy)) == ("", [])


def test_break_leaves_a_usable_partial_result_at_once(toy: LLM) -> None:
    async def read() -> tuple[str, str]:
        stream = await opened(toy)
        async for _ in stream:
            break
        return stream.result().content, stream.result().stats.stop_reason

    assert asyncio.run(read()) == ("Y", "userStopped")


def test_break_is_told_to_on_message_once(toy: LLM) -> None:
    heard: list[object] = []

    async def read() -> None:
        async with await opened(toy, on_message=heard.append) as stream:
            async for _ in stream:
                break
        await idle(toy)

    asyncio.run(read())
    assert len(heard) == 1


def test_break_keeps_the_session_for_the_next_call(toy: LLM) -> None:
    async def read() -> None:
        async for _ in await opened(toy):
            break
        await idle(toy)
        fed(toy).clear()
        await AsyncLLM(toy).respond("hi", config=GREEDY)

    asyncio.run(read())
    assert fed(toy)[0] == 1


def test_a_with_block_left_unfinished_is_cancelled(toy: LLM) -> None:
    async def leave() -> None:
        async with await opened(toy) as stream:
            pass
        stream.result()

    with pytest.raises(LMStudioCancelledError):
        asyncio.run(leave())


def test_an_error_that_ends_the_with_block_is_the_result(toy: LLM) -> None:
    async def leave() -> None:
        stream = await opened(toy)
        with pytest.raises(ZeroDivisionError):
            async with stream:
                raise ZeroDivisionError
        stream.result()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(leave())


def test_aclose_ends_an_unfinished_iterator(toy: LLM) -> None:
    async def close() -> list[object]:
        stream = await opened(toy)
        pieces = aiter(stream)
        await anext(pieces)
        await stream.aclose()
        return [piece async for piece in pieces]

    assert asyncio.run(close()) == []


def test_aclose_after_the_end_changes_nothing(toy: LLM) -> None:
    async def close() -> str:
        stream = await opened(toy)
        await stream.wait_for_result()
        await stream.aclose()
        return stream.result().content

    assert asyncio.run(close()) == "You said: hi"


def test_an_error_of_the_model_is_raised_and_is_the_result(toy: LLM) -> None:
    model: Any = toy._instance.model

    def fail() -> None:
        raise MemoryError("no room")

    model.on_feed = fail

    async def ask() -> None:
        stream = await opened(toy)
        with pytest.raises(MemoryError, match="no room"):
            await anext(aiter(stream))
        stream.result()

    with pytest.raises(MemoryError, match="no room"):
        asyncio.run(ask())


class TestCancelledTask:
    """A task is cancelled while it waits for a fragment, whose step is still running."""

    @pytest.fixture
    def left(self, toy: LLM) -> tuple[AsyncPredictionStream, asyncio.Task[None]]:
        step, go = threading.Event(), threading.Event()
        model: Any = toy._instance.model

        def wait() -> None:
            step.set()
            assert go.wait(60)

        async def cancel() -> tuple[AsyncPredictionStream, asyncio.Task[None]]:
            stream = await opened(toy)
            model.on_feed = wait

            async def read() -> None:
                async with stream:
                    async for _ in stream:
                        pass

            reader = asyncio.create_task(read())
            await asyncio.to_thread(step.wait, 60)
            reader.cancel()
            await asyncio.wait([reader])
            go.set()
            await idle(toy)
            return stream, reader

        return asyncio.run(cancel())

    def test_the_task_is_cancelled(
        self, left: tuple[AsyncPredictionStream, asyncio.Task[None]]
    ) -> None:
        assert left[1].cancelled()

    def test_the_result_raises_a_cancelled_error_of_this_library(
        self, left: tuple[AsyncPredictionStream, asyncio.Task[None]]
    ) -> None:
        with pytest.raises(LMStudioCancelledError):
            left[0].result()

    @pytest.mark.usefixtures("left")
    def test_no_further_step_runs(self, toy: LLM) -> None:
        assert len(fed(toy)) == 1

    @pytest.mark.usefixtures("left")
    def test_the_model_answers_again(self, toy: LLM) -> None:
        answer = asyncio.run(AsyncLLM(toy).respond("you", config=GREEDY))
        assert answer.content == "You said: you"
