"""act: rounds of prediction and tool calls, until a round calls no tool."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, TypedDict

import msgspec

from ..errors import LMStudioPredictionError, LMStudioValueError
from .chat import Chat
from .config import PredictionConfigInput
from .messages import AssistantResponse, ToolCallRequest, ToolCallResultData, ToolResultMessage
from .options import CallOptions, call_back
from .results import ActResult, LlmPredictionFragment, PredictionResult, PredictionRoundResult
from .stream import PredictionStream
from .tools import Tool, ToolDefinition, parse_call, prepare_tools

InvalidHandler = Callable[[LMStudioPredictionError, ToolCallRequest | None], str | None]
OpenRound = Callable[[Chat, list[dict[str, Any]] | None, CallOptions], PredictionStream]


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

    def run(self, open_round: OpenRound, chat: Chat, tools: Iterable[ToolDefinition]) -> ActResult:
        """Predict, call tools, tell the model, until it calls none; `chat` grows."""
        most = self.max_prediction_rounds
        if most is not None and most < 1:
            raise LMStudioValueError(f"max_prediction_rounds is {most}, expected at least 1")
        ready = prepare_tools(tools)
        started = perf_counter()
        with ThreadPoolExecutor(self.max_parallel_tool_calls) as pool:
            for number in count():
                last = most is not None and number == most - 1
                if not self._round(open_round, chat, {} if last else ready, number, pool):
                    break
        return ActResult(rounds=number + 1, total_time_seconds=perf_counter() - started)

    def _round(
        self,
        open_round: OpenRound,
        chat: Chat,
        tools: dict[str, Tool],
        number: int,
        pool: ThreadPoolExecutor,
    ) -> bool:
        """Play one round; True if it called tools."""
        call_back(self.on_round_start, number)
        offered = [tool.definition for tool in tools.values()] or None
        stream = open_round(chat, offered, self._callbacks(number))
        prediction = stream.wait_for_result()
        call_back(
            self.on_prediction_completed, PredictionRoundResult.from_result(prediction, number)
        )
        requests = self._requests(stream.tool_calls, number)
        if requests and not tools:
            raise self._refused("the model asked for a tool in the last round", None)
        self._extend(chat, prediction, requests, tools, pool)
        call_back(self.on_round_end, number)
        return bool(requests)

    def _extend(
        self,
        chat: Chat,
        prediction: PredictionResult,
        requests: list[ToolCallRequest],
        tools: dict[str, Tool],
        pool: ThreadPoolExecutor,
    ) -> None:
        results = self._results(requests, tools, pool)
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

    def _results(
        self, requests: list[ToolCallRequest], tools: dict[str, Tool], pool: ThreadPoolExecutor
    ) -> list[ToolCallResultData]:
        calls: dict[Future[Any], ToolCallRequest] = {
            pool.submit(partial(_call, tools.get(request.name), request)): request
            for request in requests
        }
        return [
            ToolCallResultData(
                content=self._content(done, calls[done]), tool_call_id=calls[done].id
            )
            for done in as_completed(calls)
        ]

    def _content(self, done: Future[str], request: ToolCallRequest) -> str:
        """What the model is told of a call: its result as JSON, or what went wrong."""
        error = done.exception()
        if error is None:
            return done.result()
        if not isinstance(error, Exception):
            raise error
        if isinstance(error, LMStudioPredictionError):
            return self._told(error, request) or str(error)
        text = f"Unhandled Python exception: {error!r}"
        failed = LMStudioPredictionError(text)
        failed.__cause__ = error
        return json.dumps(self._told(failed, request) or text, ensure_ascii=False)

    def _told(self, error: LMStudioPredictionError, request: ToolCallRequest | None) -> str | None:
        if self.handle_invalid_tool_request is None:
            return None
        return self.handle_invalid_tool_request(error, request)

    def _refused(self, text: str, request: ToolCallRequest | None) -> LMStudioPredictionError:
        error = LMStudioPredictionError(text)
        self._told(error, request)
        return error


def _call(tool: Tool | None, request: ToolCallRequest) -> str:
    if tool is None:
        raise LMStudioPredictionError(f"Cannot find tool with name {request.name}.")
    try:
        checked = tool.checked(request.arguments)
    except msgspec.ValidationError as error:
        raise LMStudioPredictionError(
            f"Failed to parse arguments for tool {request.name}: {error}"
        ) from error
    return json.dumps(tool.implementation(**checked), ensure_ascii=False)
