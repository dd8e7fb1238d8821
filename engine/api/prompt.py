"""From a chat to what templates render: messages as dicts; and the config's manual template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from ..errors import LMStudioValueError
from .chat import Chat
from .messages import AssistantResponse, FileHandle, ToolCallRequestData, ToolResultMessage, text_of

Segments: TypeAlias = list[tuple[str, bool]]  # (text, is it the template's own)


class RenderedLike(Protocol):
    """What a template gives: the text, whole and in segments."""

    @property
    def text(self) -> str: ...
    @property
    def segments(self) -> Segments: ...


class TemplateLike(Protocol):
    """A chat template."""

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> RenderedLike: ...


def template_messages(chat: Chat) -> list[dict[str, Any]]:
    """Messages as templates expect them; files are refused."""
    return [message for entry in chat._messages for message in _template_message(entry)]


def _template_message(entry: Any) -> list[dict[str, Any]]:
    if isinstance(entry, ToolResultMessage):
        return [
            {"role": "tool", "content": part.content, "tool_call_id": part.tool_call_id}
            for part in entry.content
        ]
    for part in entry.content:
        if isinstance(part, FileHandle):
            raise LMStudioValueError(f"file {part.name!r}: this model reads text only")
    message: dict[str, Any] = {"role": entry.role, "content": text_of(entry.content)}
    if isinstance(entry, AssistantResponse) and (calls := _calls(entry)):
        message["tool_calls"] = calls
    return [message]


def _calls(entry: AssistantResponse) -> list[dict[str, Any]]:
    requests = [
        part.tool_call_request for part in entry.content if isinstance(part, ToolCallRequestData)
    ]
    return [
        {
            "id": request.id,
            "type": "function",
            "function": {"name": request.name, "arguments": dict(request.arguments or {})},
        }
        for request in requests
    ]


class ManualTemplate:
    """`promptTemplate` of type manual: a text before and after each role's messages."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self._parts = parts

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> ManualText:
        """Wrap every message; a tool's answer counts as the user's."""
        segments: Segments = []
        for message in messages:
            segments += self._wrapped(message["role"], message["content"])
        if add_generation_prompt:
            segments.append((self._parts.get("beforeAssistant", ""), True))
        return ManualText(segments)

    def _wrapped(self, role: str, content: str) -> Segments:
        name = {"system": "System", "assistant": "Assistant"}.get(role, "User")
        before, after = (self._parts.get(f"{side}{name}", "") for side in ("before", "after"))
        return [(before, True), (content, False), (after, True)]


class PlainTemplate:
    """What messages say, line by line, for models that read a text and write another."""

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> ManualText:
        """All contents, nothing else."""
        return ManualText([("\n".join(str(message["content"]) for message in messages), False)])


class ManualText:
    """What a manual template gives."""

    def __init__(self, segments: Segments) -> None:
        self.segments = [(text, own) for text, own in segments if text]
        self.text = "".join(text for text, _ in self.segments)
