"""act on an event loop: asynchronous tools run on it, answers are made and other tools in threads.

Results are told to the model in the order it asked for them. Callbacks are plain functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from inspect import isawaitable, iscoroutinefunction

from .act import Act, Ask, OpenRound, Outcomes, ToolCall, as_json
from .async_stream import AsyncPredictionStream
from .chat import Chat
from .results import ActResult
from .stream import PredictionStream
from .tools import ToolDefinition, prepare_tools


async def run(
    act: Act, open_round: OpenRound, chat: Chat, tools: Iterable[ToolDefinition]
) -> ActResult:
    """Play the rounds of `act`; a task that is cancelled ends the answer or its tools."""
    rounds = act.rounds(chat, prepare_tools(tools, asynchronous=True))
    done: PredictionStream | Outcomes | None = None
    while True:
        try:
            wanted = rounds.send(done)
        except StopIteration as end:
            result: ActResult = end.value
            return result
        if isinstance(wanted, Ask):
            done = await _answered(wanted, open_round)
        else:
            done = await _called(wanted, act.max_parallel_tool_calls or len(wanted))


async def _answered(wanted: Ask, open_round: OpenRound) -> PredictionStream:
    stream = await asyncio.to_thread(open_round, wanted.chat, wanted.offered, wanted.options)
    await AsyncPredictionStream(stream).wait_for_result()
    return stream


async def _called(calls: list[ToolCall], at_once: int) -> Outcomes:
    room = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_outcome(call, room)) for call in calls]
    return [(call, task.result()) for call, task in zip(calls, running, strict=True)]


async def _outcome(call: ToolCall, room: asyncio.Semaphore) -> str | BaseException:
    async with room:
        try:
            return await _made(call)
        except Exception as error:
            return error


async def _made(call: ToolCall) -> str:
    tool = call.bound()
    result = tool() if iscoroutinefunction(tool) else await asyncio.to_thread(tool)
    return as_json(await result if isawaitable(result) else result)
