"""act: rounds of prediction and tool calls, until a round calls no tool.

`Act.rounds` plays them and yields what it needs done: an answer made, tools called. Who does that,
threads here or an event loop (async_act.py), is the caller's choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, TypeAlias, TypedDict

import msgspec

from ..errors import LMStudioPredictionError, LMStudioValueError
from .chat import Chat
from .config import PredictionConfigInput
from .config_keys import is_int
from .messages import AssistantResponse, ToolCallRequest, ToolCallResultData, ToolResultMessage
from .options import CallOptions, call_back
from .results import ActResult, LlmPredictionFragment, PredictionResult, PredictionRoundResult
from .stream import PredictionStream
from .tools import Tool, ToolDefinition, parse_call, prepare_tools

InvalidHandler = Callable[[LMStudioPredictionError, ToolCallRequest | None], str | None]
OpenRound = Callable[[Chat, list[dict[str, Any]] | None, CallOptions], PredictionStream]


@dataclass(frozen=True)
class Ask:
    """An answer wanted; send back its finished stream."""

    chat: Chat
    offered: list[dict[str, Any]] | None
    options: CallOptions


@dataclass(frozen=True)
class ToolCall:
    """A call wanted. Of a list of these send back each with its result as JSON or what it raised.

    Results are told to the model in the order sent back.
    """

    tool: Tool | None
    request: ToolCallRequest

    def bound(self) -> Callable[[], Any]:
        """The tool with its arguments; `LMStudioPredictionError` if there are none that fit."""
        if self.tool is None:
            raise LMStudioPredictionError(f"Cannot find tool with name {self.request.name}.")
        try:
            checked = self.tool.checked(self.request.arguments)
        except msgspec.ValidationError as error:
            raise LMStudioPredictionError(
                f"Failed to parse arguments for tool {self.request.name}: {error}"
            ) from error
        return partial(self.tool.implementation, **checked)

    def made(self) -> str:
        """Call the tool here and now."""
        return as_json(self.bound()())


Outcomes: TypeAlias = list[tuple[ToolCall, str | BaseException]]
Rounds: TypeAlias = Generator[Ask | list[ToolCall], Any, ActResult]


class ActOptions(TypedDict, total=False):
    """Keyword options of `act`."""

    max_prediction_rounds: int | None
    max_parallel_tool_calls: int | None
    config: PredictionConfigInput
    preset: str | None
    on_message: Callable[[AssistantResponse | ToolResultMessage], Any] | None
    on_first_token: Callable[[int], Any] | None
    on_prediction_fragment: Callable[[LlmPredictionFragment, int], Any] | None
    on_round_start: Callable[[int], Any] | None
    on_round_end: Callable[[int], Any] | None
    on_prediction_completed: Callable[[PredictionRoundResult], Any] | None
    on_prompt_processing_progress: Callable[[float, int], Any] | None
    handle_invalid_tool_request: InvalidHandler | None


@dataclass(frozen=True, kw_only=True)
class Act:
    """The settings of one `act`; `run` plays it."""

    max_prediction_rounds: int | None = None
    max_parallel_tool_calls: int | None = 1
    config: PredictionConfigInput = None
    preset: str | None = None
    on_message: Callable[..., Any] | None = None
    on_first_token: Callable[..., Any] | None = None
    on_prediction_fragment: Callable[..., Any] | None = None
    on_round_start: Callable[..., Any] | None = None
    on_round_end: Callable[..., Any] | None = None
    on_prediction_completed: Callable[..., Any] | None = None
    on_prompt_processing_progress: Callable[..., Any] | None = None
    handle_invalid_tool_request: InvalidHandler | None = None

    def __post_init__(self) -> None:
        for name in ("max_prediction_rounds", "max_parallel_tool_calls"):
            most = getattr(self, name)
            if most is not None and not (is_int(most) and most >= 1):
                raise LMStudioValueError(
                    f"{name} is {most!r}, expected at least 1 (a whole number), or None"
                )

    def run(self, open_round: OpenRound, chat: Chat, tools: Iterable[ToolDefinition]) -> ActResult:
        """Play the rounds; tools run in threads, results are told as they come."""
        rounds = self.rounds(chat, prepare_tools(tools))
        done: PredictionStream | Outcomes | None = None
        with ThreadPoolExecutor(self.max_parallel_tool_calls) as pool:
            while True:
                try:
                    wanted = rounds.send(done)
                except StopIteration as end:
                    result: ActResult = end.value
                    return result
                done = (
                    _answered(wanted, open_round)
                    if isinstance(wanted, Ask)
                    else _called(wanted, pool)
                )

    def rounds(self, chat: Chat, tools: dict[str, Tool]) -> Rounds:
        """Predict, call tools, tell the model, until it calls none; `chat` grows."""
        started = perf_counter()
        for number in count():
            last = number + 1 == self.max_prediction_rounds
            if not (yield from self._round(chat, {} if last else tools, number)):
                break
        return ActResult(rounds=number + 1, total_time_seconds=perf_counter() - started)

    def _round(
        self, chat: Chat, tools: dict[str, Tool], number: int
    ) -> Generator[Ask | list[ToolCall], Any, bool]:
        """Play one round; True if it called tools."""
        call_back(self.on_round_start, number)
        offered = [tool.definition for tool in tools.values()] or None
        stream: PredictionStream = yield Ask(chat.copy(), offered, self._callbacks(number))
        prediction = stream.result()
        call_back(
            self.on_prediction_completed, PredictionRoundResult.from_result(prediction, number)
        )
        requests = self._requests(stream.tool_calls, number)
        if requests and not tools:
            raise self._refused("the model asked for a tool in the last round", None)
        calls = [ToolCall(tools.get(request.name), request) for request in requests]
        self._extend(chat, prediction, requests, (yield calls) if calls else [])
        call_back(self.on_round_end, number)
        return bool(requests)

    def _extend(
        self,
        chat: Chat,
        prediction: PredictionResult,
        requests: list[ToolCallRequest],
        outcomes: Outcomes,
    ) -> None:
        results = [
            ToolCallResultData(
                content=self._content(outcome, call.request), tool_call_id=call.request.id
            )
            for call, outcome in outcomes
        ]
        messages: list[Any] = [chat.add_assistant_response(prediction, requests)]
        if results:
            messages.append(chat.add_tool_results(results))
        for message in messages:
            call_back(self.on_message, message)

    def _callbacks(self, number: int) -> CallOptions:
        def with_round(callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
            return callback and (lambda *arguments: callback(*arguments, number))

        return CallOptions(
            config=self.config,
            preset=self.preset,
            on_first_token=with_round(self.on_first_token),
            on_prediction_fragment=with_round(self.on_prediction_fragment),
            on_prompt_processing_progress=with_round(self.on_prompt_processing_progress),
        )

    def _requests(self, texts: list[str], number: int) -> list[ToolCallRequest]:
        requests: list[ToolCallRequest] = []
        for text in texts:
            request = parse_call(text, number * 1000 + len(requests))
            if request is None:
                raise self._refused(f"could not read a tool call from {text!r}", None)
            requests.append(request)
        return requests

    def _content(self, outcome: str | BaseException, request: ToolCallRequest) -> str:
        """What the model is told of a call: its result as JSON, or what went wrong."""
        if isinstance(outcome, str):
            return outcome
        if not isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, LMStudioPredictionError):
            told = self._told(outcome, request)
            return str(outcome) if told is None else told
        text = f"Unhandled Python exception: {outcome!r}"
        failed = LMStudioPredictionError(text)
        failed.__cause__ = outcome
        told = self._told(failed, request)
        return as_json(text if told is None else told)

    def _told(self, error: LMStudioPredictionError, request: ToolCallRequest | None) -> str | None:
        if self.handle_invalid_tool_request is None:
            return None
        return self.handle_invalid_tool_request(error, request)

    def _refused(self, text: str, request: ToolCallRequest | None) -> LMStudioPredictionError:
        error = LMStudioPredictionError(text)
        self._told(error, request)
        return error


def as_json(result: object) -> str:
    """A tool's result as the model is told it; an exception if it is none that can be written."""
    text = json.dumps(result, ensure_ascii=False)
    text.encode()  # file names may hold lone surrogates, which no tokenizer takes
    return text


def _answered(wanted: Ask, open_round: OpenRound) -> PredictionStream:
    stream = open_round(wanted.chat, wanted.offered, wanted.options)
    stream.wait_for_result()
    return stream


def _called(calls: list[ToolCall], pool: ThreadPoolExecutor) -> Outcomes:
    running = {pool.submit(call.made): call for call in calls}
    return [(running[done], _outcome(done)) for done in as_completed(running)]


def _outcome(done: Future[str]) -> str | BaseException:
    error = done.exception()
    return done.result() if error is None else error
