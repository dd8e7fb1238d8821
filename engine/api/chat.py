"""Chat: a conversation that only grows in ways a chat template can render."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import msgspec

from ..errors import LMStudioRuntimeError, LMStudioValueError
from .messages import (
    AnyChatMessage,
    AssistantResponse,
    ChatHistoryData,
    FileHandle,
    SystemPrompt,
    TextData,
    ToolCallRequest,
    ToolCallRequestData,
    ToolCallResultData,
    ToolResultMessage,
    UserMessage,
)
from .structs import format_json

ChatInput: TypeAlias = "str | Chat | ChatHistoryData | Mapping[str, Any]"


@runtime_checkable
class HasContent(Protocol):
    """A prediction result: its content becomes the assistant's text."""

    content: str
    stats: object


class Chat:
    """A conversation: `Chat("system prompt")`, then `add_user_message`, `add_assistant_response`...

    Pass it to `LLM.respond`. Copies are deep; two chats are equal only if they are the same object.
    """

    def __init__(self, initial_prompt: str | TextData | Mapping[str, Any] | None = None) -> None:
        self._history = ChatHistoryData(messages=[])
        if initial_prompt is not None:
            self.add_system_prompt(initial_prompt)

    @classmethod
    def from_history(cls, history: ChatInput) -> Self:
        """Make a chat from a user's text, another chat, or a dict with `messages`.

        A message in a dict is a dict, a struct, or a `(role, content)` tuple.
        """
        chat = cls()
        if isinstance(history, Chat):
            chat._history = deepcopy(history._history)
        elif isinstance(history, ChatHistoryData):
            chat._history = deepcopy(history)
        elif isinstance(history, str):
            chat.add_user_message(history)
        elif isinstance(history, Mapping) and (messages := history.get("messages")) is not None:
            if _is_single(messages):
                raise LMStudioValueError(f"messages is {messages!r}, expected a list of messages")
            for entry in messages:
                chat._add_any(entry)
        else:
            raise LMStudioValueError(
                "expected a str, a Chat, ChatHistoryData or a dict with 'messages', "
                f"found {type(history).__name__}"
            )
        return chat

    def copy(self) -> Self:
        """Return a deep copy."""
        return type(self).from_history(self)

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __str__(self) -> str:
        return f"{type(self).__name__}.from_history({format_json(self._history.to_dict())})"

    @property
    def _messages(self) -> list[AnyChatMessage]:
        return self._history.messages

    def add_entry(self, role: str, content: Any) -> AnyChatMessage:
        """Add a message for `role`: user, system, assistant or tool."""
        if role == "user":
            return self.add_user_message(content)
        if role == "system":
            return self.add_system_prompt(_single(content, "system prompt"))
        if role == "assistant":
            return self._add_assistant_entry(content)
        if role == "tool":
            return self.add_tool_results([content] if _is_single(content) else content)
        raise LMStudioValueError(
            f"unknown role {role!r}: expected 'user', 'system', 'assistant' or 'tool'"
        )

    def append(self, message: AnyChatMessage | Mapping[str, Any]) -> AnyChatMessage:
        """Add a copy of a message struct, or of a dict with exactly `role` and `content`."""
        if isinstance(message, Mapping):
            return self.add_entry(**message)
        if isinstance(message, SystemPrompt | UserMessage | AssistantResponse | ToolResultMessage):
            return self.add_entry(message.role, deepcopy(message.content))
        raise LMStudioValueError(
            f"expected a chat message or a dict, found {type(message).__name__}"
        )

    def add_system_prompt(self, prompt: str | TextData | Mapping[str, Any]) -> SystemPrompt:
        """Add directions for the assistant; two in a row are refused."""
        self._refuse_after("system", "system prompts")
        part = _text_part(prompt)
        if part is None:
            raise LMStudioValueError(f"a system prompt is one text, found {prompt!r}")
        message = SystemPrompt(content=[part])
        self._messages.append(message)
        return message

    def add_user_message(self, content: Any, *, images: Sequence[Any] = ()) -> UserMessage:
        """Add what the user says; right after another user message, the two become one."""
        items = [content] if _is_single(content) else list(content)
        parts = [_content_part(item, "user message") for item in (*items, *images)]
        last = self._last()
        if isinstance(last, UserMessage):
            last.content.extend(parts)
            return last
        if not parts:
            raise LMStudioValueError("a user message needs at least one part, found none")
        message = UserMessage(content=parts)
        self._messages.append(message)
        return message

    def add_assistant_response(
        self, response: Any, tool_call_requests: Iterable[Any] = ()
    ) -> AssistantResponse:
        """Add what the model said: a text, a file or a `PredictionResult`, then its tool calls."""
        self._refuse_after("assistant", "assistant responses")
        said = TextData(text=response.content) if isinstance(response, HasContent) else response
        requests = [_request_part(request) for request in tool_call_requests]
        message = AssistantResponse(content=[_content_part(said, "assistant response"), *requests])
        self._messages.append(message)
        return message

    def add_tool_result(self, result: Any) -> ToolResultMessage:
        """Add what one tool call gave."""
        return self.add_tool_results([result])

    def add_tool_results(self, results: Iterable[Any]) -> ToolResultMessage:
        """Add what several tool calls gave, as one message."""
        message = ToolResultMessage(content=[_result_part(result) for result in results])
        self._messages.append(message)
        return message

    def _last(self) -> AnyChatMessage | None:
        return self._messages[-1] if self._messages else None

    def _refuse_after(self, role: str, what: str) -> None:
        last = self._last()
        if last is not None and last.role == role:
            raise LMStudioRuntimeError(f"consecutive {what} are not supported")

    def _add_assistant_entry(self, content: Any) -> AssistantResponse:
        if _is_single(content):
            return self.add_assistant_response(content)
        parts = list(content)
        if not parts:
            raise LMStudioValueError("an assistant response needs at least one part, found none")
        return self.add_assistant_response(parts[0], parts[1:])

    def _add_any(self, entry: Any) -> None:
        if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
            self.add_entry(*entry)
        elif isinstance(entry, Mapping) and {"role", "content"} <= entry.keys():
            self.add_entry(entry["role"], entry["content"])
        elif isinstance(entry, msgspec.Struct):
            self.append(entry)  # type: ignore[arg-type]  # append names what it does not take
        else:
            raise LMStudioValueError(f"could not read a chat message from {entry!r}")


def _is_single(content: Any) -> bool:
    return isinstance(content, str | Mapping) or not isinstance(content, Iterable)


def _single(content: Any, what: str) -> Any:
    if _is_single(content):
        return content
    parts = list(content)
    if len(parts) != 1:
        raise LMStudioValueError(f"a {what} has exactly one part, found {len(parts)}")
    return parts[0]


def _text_part(item: Any) -> TextData | None:
    if isinstance(item, TextData):
        return item
    if isinstance(item, Mapping):
        item = item.get("text")
    return TextData(text=item) if isinstance(item, str) else None


def _content_part(item: Any, what: str) -> TextData | FileHandle:
    if isinstance(item, FileHandle):
        return item
    if part := _text_part(item):
        return part
    if isinstance(item, Mapping) and {"name", "identifier"} <= item.keys():
        return FileHandle.from_dict({"type": "file", **item})
    raise LMStudioValueError(f"could not read a part of a {what} from {item!r}")


def _request_part(request: Any) -> ToolCallRequestData:
    if isinstance(request, ToolCallRequestData):
        return request
    if isinstance(request, Mapping):
        inner = request.get("toolCallRequest") or request.get("tool_call_request")
        request = ToolCallRequest.from_dict(request if inner is None else inner)
    if isinstance(request, ToolCallRequest):
        return ToolCallRequestData(tool_call_request=request)
    raise LMStudioValueError(f"could not read a tool call request from {request!r}")


def _result_part(result: Any) -> ToolCallResultData:
    if isinstance(result, ToolCallResultData):
        return result
    if isinstance(result, Mapping) and "content" in result:
        return ToolCallResultData.from_dict({"type": "toolCallResult", **result})
    raise LMStudioValueError(f"could not read a tool result from {result!r}")
