"""Messages of a chat and their parts, tagged by `role` and by `type` in dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from .structs import Struct

_FUNCTION: Literal["function"] = "function"

FileType: TypeAlias = Literal[
    "image", "text/plain", "application/pdf", "application/word", "text/other", "unknown"
]


class TextData(Struct, tag_field="type", tag="text"):
    """A part of a message that is text."""

    type: ClassVar[str] = "text"
    text: str


class FileHandle(Struct, tag_field="type", tag="file"):
    """A part of a message that is a file."""

    type: ClassVar[str] = "file"
    name: str
    identifier: str
    size_bytes: int
    file_type: FileType


class ToolCallRequest(Struct, kw_only=True):
    """A call the model asks for; `arguments` is the parsed JSON object."""

    # By a factory, so that it is written to dicts although it never changes.
    type: Literal["function"] = msgspec.field(default_factory=lambda: _FUNCTION)
    name: str
    id: str | None = None
    arguments: Mapping[str, Any] | None = None


class ToolCallRequestData(Struct, tag_field="type", tag="toolCallRequest"):
    """A part of an assistant's message that asks for a tool call."""

    type: ClassVar[str] = "toolCallRequest"
    tool_call_request: ToolCallRequest


class ToolCallResultData(Struct, tag_field="type", tag="toolCallResult"):
    """A part of a tool message: what one call gave."""

    type: ClassVar[str] = "toolCallResult"
    content: str
    tool_call_id: str | None = None


SystemPromptContent: TypeAlias = TextData
UserMessageContent: TypeAlias = TextData | FileHandle
AssistantResponseContent: TypeAlias = TextData | FileHandle
FileHandleInput: TypeAlias = FileHandle | Mapping[str, Any]


class SystemPrompt(Struct, tag_field="role", tag="system"):
    """Directions for the assistant."""

    role: ClassVar[str] = "system"
    content: list[TextData | FileHandle]


class UserMessage(Struct, tag_field="role", tag="user"):
    """What the user says: one or more parts."""

    role: ClassVar[str] = "user"
    content: list[TextData | FileHandle]


class AssistantResponse(Struct, tag_field="role", tag="assistant"):
    """What the model said: a text, then the tool calls it asked for."""

    role: ClassVar[str] = "assistant"
    content: list[TextData | FileHandle | ToolCallRequestData]


class ToolResultMessage(Struct, tag_field="role", tag="tool"):
    """What tools answered."""

    role: ClassVar[str] = "tool"
    content: list[ToolCallResultData]


AnyChatMessage: TypeAlias = SystemPrompt | UserMessage | AssistantResponse | ToolResultMessage
AnyChatMessageDict: TypeAlias = Mapping[str, Any]
ChatHistoryDataDict: TypeAlias = Mapping[str, Any]
UserMessageDict: TypeAlias = Mapping[str, Any]
TextDataDict: TypeAlias = Mapping[str, Any]
FileHandleDict: TypeAlias = Mapping[str, Any]


class ChatHistoryData(Struct):
    """All messages of a chat, as they are written to a dict."""

    messages: list[AnyChatMessage]


def text_of(parts: Sequence[object]) -> str:
    """Join the text parts with a line break between them."""
    return "\n".join(part.text for part in parts if isinstance(part, TextData))
