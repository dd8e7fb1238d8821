"""act of AsyncLLM: asynchronous tools, order of results, cancelling."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.api.async_models import AsyncLLM
from gnomon.engine.api.chat import Chat
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.messages import ToolCallRequest
from gnomon.engine.errors import LMStudioPredictionError, LMStudioValueError

MakeLLM = Callable[..., LLM]
GREEDY = {"temperature": 0, "repeatPenalty": False}
ONE_CALL = '{"name": "add", "arguments": {"a": 1, "b": 2}}'


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calling(*calls: str) -> Callable[[str], str]:
    """A model that makes these calls, then says what the tool told it last."""

    def reply(prompt: str) -> str:
        told = prompt.rpartition("<|im_start|>tool\n")
        if told[1]:
            return f"It is {told[2].partition('<|im_end|>')[0]}."
        return "Wait. " + "".join(f"<tool_call>{call}</tool_call>" for call in calls)

    return reply


async def act(llm: LLM, tools: Any, **options: Any) -> list[str]:
    """Texts of the messages."""
    chat = Chat("be exact")
    chat.add_user_message("1 + 2?")
    await AsyncLLM(llm).act(chat, tools, config=GREEDY, on_message=chat.append, **options)
    return [
        str(getattr(part, "text", None) or getattr(part, "content", None) or "call")
        for message in chat._messages[2:]
        for part in message.content
    ]


def test_a_plain_tool_is_called_and_its_result_told(make_llm: MakeLLM) -> None:
    said = asyncio.run(act(make_llm(calling(ONE_CALL)), [add]))
    assert said == ["Wait. ", "call", "3", "It is 3."]


def test_a_plain_tool_runs_in_a_thread(make_llm: MakeLLM) -> None:
    threads: list[threading.Thread] = []

    def where() -> None:
        """Note the thread."""
        threads.append(threading.current_thread())

    asyncio.run(act(make_llm(calling('{"name": "where"}')), [where]))
    assert threads[0] is not threading.main_thread()


def test_an_asynchronous_tool_runs_on_the_event_loop(make_llm: MakeLLM) -> None:
    async def where() -> bool:
        """Tell the thread."""
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    said = asyncio.run(act(make_llm(calling('{"name": "where"}')), [where]))
    assert said[2] == "true"


def test_a_tool_may_ask_the_model(make_llm: MakeLLM) -> None:
    llm = make_llm(calling('{"name": "ask"}'))

    async def ask() -> str:
        """Ask."""
        return (await AsyncLLM(llm).complete("xy", config=GREEDY)).content

    assert asyncio.run(act(llm, [ask]))[2] == '"z"'


def test_results_are_told_in_the_order_of_the_requests(make_llm: MakeLLM) -> None:
    last_is_done = asyncio.Event()

    async def note(n: int) -> int:
        """Note a number; the first waits for the last."""
        if n == 2:
            last_is_done.set()
        await last_is_done.wait()
        return n

    calls = [f'{{"name": "note", "arguments": {{"n": {n}}}}}' for n in range(3)]
    said = asyncio.run(act(make_llm(calling(*calls)), [note], max_parallel_tool_calls=None))
    assert said[4:7] == ["0", "1", "2"]


def test_one_tool_at_a_time_unless_more_are_allowed(make_llm: MakeLLM) -> None:
    running, most = [0], [0]

    async def note(n: int) -> int:
        """Note a number."""
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0)
        running[0] -= 1
        return n

    calls = [f'{{"name": "note", "arguments": {{"n": {n}}}}}' for n in range(3)]
    asyncio.run(act(make_llm(calling(*calls)), [note]))
    assert most == [1]


def test_an_exception_of_an_asynchronous_tool_is_told_to_the_model(make_llm: MakeLLM) -> None:
    async def fail() -> None:
        """Fail."""
        raise RuntimeError("no")

    said = asyncio.run(act(make_llm(calling('{"name": "fail"}')), [fail]))
    assert said[2] == "\"Unhandled Python exception: RuntimeError('no')\""


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ('{"name": "sub"}', "Cannot find tool with name sub."),
        ('{"name": "add", "arguments": {"a": "1"}}', "Failed to parse arguments for tool add: "),
    ],
)
def test_a_wrong_call_is_told_to_the_model(call: str, told: str, make_llm: MakeLLM) -> None:
    assert asyncio.run(act(make_llm(calling(call)), [add]))[2].startswith(told)


def test_the_handler_may_abort(make_llm: MakeLLM) -> None:
    def refuse(error: LMStudioPredictionError, request: ToolCallRequest | None) -> str:
        raise error

    llm = make_llm(calling('{"name": "sub"}'))
    with pytest.raises(LMStudioPredictionError, match="Cannot find tool"):
        asyncio.run(act(llm, [add], handle_invalid_tool_request=refuse))


@pytest.mark.parametrize("name", ["max_prediction_rounds", "max_parallel_tool_calls"])
def test_a_limit_below_one_is_refused(name: str, toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match=f"{name} is 0, expected at least 1"):
        asyncio.run(act(toy, [add], **{name: 0}))


def test_callbacks_of_a_round_come_in_order(make_llm: MakeLLM) -> None:
    heard: list[str] = []
    asyncio.run(
        AsyncLLM(make_llm(calling(ONE_CALL))).act(
            "1 + 2?",
            [add],
            config=GREEDY,
            on_round_start=lambda number: heard.append(f"start {number}"),
            on_first_token=lambda number: heard.append(f"first {number}"),
            on_prediction_completed=lambda result: heard.append(f"done {result.round_index}"),
            on_message=lambda message: heard.append(message.role),
            on_round_end=lambda number: heard.append(f"end {number}"),
        )
    )
    assert heard == [
        *("start 0", "first 0", "done 0", "assistant", "tool", "end 0"),
        *("start 1", "first 1", "done 1", "assistant", "end 1"),
    ]


def test_cancelling_act_cancels_its_tool(make_llm: MakeLLM) -> None:
    heard: list[str] = []

    async def cancel() -> None:
        waiting = asyncio.Event()

        async def wait() -> None:
            """Wait for ever."""
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")
                raise

        task = asyncio.create_task(act(make_llm(calling('{"name": "wait"}')), [wait]))
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
        heard.append(str(task.cancelled()))

    asyncio.run(cancel())
    assert heard == ["cancelled", "True"]


def test_many_acts_at_once_are_each_right(make_llm: MakeLLM) -> None:
    model = AsyncLLM(make_llm(calling(ONE_CALL)))

    async def all_of_them() -> list[int]:
        acts = [model.act(f"{n}: 1 + 2?", [add], config=GREEDY) for n in range(20)]
        return [result.rounds for result in await asyncio.gather(*acts)]

    assert asyncio.run(all_of_them()) == [2] * 20
