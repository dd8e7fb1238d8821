"""Chat: how a conversation grows, what it refuses, copies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.api.chat import Chat
from gnomon.engine.api.messages import (
    AssistantResponse,
    ChatHistoryData,
    FileHandle,
    SystemPrompt,
    TextData,
    ToolCallRequest,
    ToolCallResultData,
    UserMessage,
)
from gnomon.engine.errors import LMStudioRuntimeError, LMStudioValueError

IMAGE = FileHandle(name="a.png", identifier="1", size_bytes=3, file_type="image")


def shown(chat: Chat) -> list[tuple[str, list[str]]]:
    """(role, texts) of every message."""
    return [
        (message.role, [getattr(part, "text", part.type) for part in message.content])
        for message in chat._messages
    ]


def test_the_initial_prompt_is_the_system_s() -> None:
    assert shown(Chat("be kind")) == [("system", ["be kind"])]


def test_an_empty_system_prompt_is_allowed() -> None:
    assert shown(Chat("")) == [("system", [""])]


def test_two_system_prompts_in_a_row_are_refused() -> None:
    with pytest.raises(LMStudioRuntimeError, match="consecutive system prompts"):
        Chat("one").add_system_prompt("two")


def test_a_system_prompt_may_come_later() -> None:
    chat = Chat()
    chat.add_user_message("hi")
    chat.add_system_prompt("be short")
    assert [role for role, _ in shown(chat)] == ["user", "system"]


def test_a_system_prompt_of_several_parts_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="exactly one part, found 2"):
        Chat().add_entry("system", ["a", "b"])


def test_a_file_as_system_prompt_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="one text"):
        Chat().add_system_prompt(IMAGE)  # type: ignore[arg-type]


def test_user_messages_in_a_row_become_one() -> None:
    chat = Chat()
    first = chat.add_user_message("one")
    second = chat.add_user_message("two")
    assert first is second
    assert shown(chat) == [("user", ["one", "two"])]


def test_a_user_message_may_have_several_parts() -> None:
    chat = Chat()
    chat.add_user_message(["look", {"text": "here"}], images=[IMAGE])
    assert shown(chat) == [("user", ["look", "here", "file"])]


def test_an_empty_list_is_no_user_message() -> None:
    with pytest.raises(LMStudioValueError, match="at least one part"):
        Chat().add_user_message([])


def test_an_empty_text_is_a_user_message() -> None:
    chat = Chat()
    chat.add_user_message("")
    assert shown(chat) == [("user", [""])]


def test_a_part_of_another_shape_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="could not read a part of a user message"):
        Chat().add_user_message({"type": "image_url", "image_url": "x"})


def test_assistant_responses_in_a_row_are_refused() -> None:
    chat = Chat()
    chat.add_assistant_response("one")
    with pytest.raises(LMStudioRuntimeError, match="consecutive assistant responses"):
        chat.add_assistant_response("two")


def test_an_assistant_response_has_its_text_then_its_requests() -> None:
    chat = Chat()
    request = {"name": "add", "arguments": {"first_term": 1}}
    message = chat.add_assistant_response("let me see", [request, ToolCallRequest(name="sub")])
    assert shown(chat) == [("assistant", ["let me see", "toolCallRequest", "toolCallRequest"])]
    assert message.content[1].tool_call_request.arguments == {"first_term": 1}  # type: ignore[union-attr]


def test_tool_results_may_come_in_a_row() -> None:
    chat = Chat()
    chat.add_tool_result({"content": "1", "toolCallId": "a"})
    chat.add_tool_results([{"content": "2", "tool_call_id": "b"}, ToolCallResultData(content="3")])
    assert [len(message.content) for message in chat._messages] == [1, 2]


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="unknown role 'boss'"):
        Chat().add_entry("boss", "hi")


def test_append_copies_a_message() -> None:
    chat, message = Chat(), UserMessage(content=[TextData(text="hi")])
    chat.append(message)
    message.content.clear()
    assert shown(chat) == [("user", ["hi"])]


def test_append_takes_a_dict_of_role_and_content_alone() -> None:
    chat = Chat()
    chat.append({"role": "user", "content": "hi"})
    assert shown(chat) == [("user", ["hi"])]
    with pytest.raises(TypeError, match="name"):
        chat.append({"role": "user", "content": "hi", "name": "x"})


def test_append_refuses_other_things() -> None:
    with pytest.raises(LMStudioValueError, match="expected a chat message or a dict, found str"):
        Chat().append("hi")  # type: ignore[arg-type]


def test_a_text_is_a_history_of_one_user_message() -> None:
    assert shown(Chat.from_history("hi")) == [("user", ["hi"])]


def test_a_history_may_be_dicts_structs_and_tuples() -> None:
    messages: list[Any] = [
        ("system", "be kind"),
        {"role": "user", "content": "hi"},
        AssistantResponse(content=[TextData(text="hello")]),
    ]
    assert shown(Chat.from_history({"messages": messages})) == [
        ("system", ["be kind"]),
        ("user", ["hi"]),
        ("assistant", ["hello"]),
    ]


@pytest.mark.parametrize("history", [3, None, [], [("user", "hi")], {"message": []}])
def test_other_histories_are_refused(history: Any) -> None:
    with pytest.raises(LMStudioValueError, match="expected a str, a Chat"):
        Chat.from_history(history)


def test_a_message_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="could not read a chat message"):
        Chat.from_history({"messages": [{"role": "user"}]})


def test_history_data_is_copied() -> None:
    data = ChatHistoryData(messages=[SystemPrompt(content=[TextData(text="a")])])
    chat = Chat.from_history(data)
    data.messages.clear()
    assert shown(chat) == [("system", ["a"])]


@pytest.mark.parametrize("make_copy", [Chat.copy, copy.copy, copy.deepcopy, Chat.from_history])
def test_copies_are_deep(make_copy: Callable[[Chat], Chat]) -> None:
    chat = Chat.from_history("hi")
    twin = make_copy(chat)
    twin.add_user_message("more")
    assert shown(chat) == [("user", ["hi"])]


def test_a_chat_is_shown_as_the_call_that_makes_it() -> None:
    assert str(Chat("a")) == (
        'Chat.from_history({\n  "messages": [\n    {\n      "content": [\n        {\n'
        '          "text": "a",\n          "type": "text"\n        }\n      ],\n'
        '      "role": "system"\n    }\n  ]\n})'
    )


def test_chats_are_equal_only_to_themselves() -> None:
    chat = Chat("a")
    assert chat != Chat("a")
    assert chat in (chat,)


@pytest.mark.parametrize("messages", [3, "hi", {"role": "user", "content": "hi"}])
def test_messages_that_are_no_list_are_refused(messages: Any) -> None:
    with pytest.raises(LMStudioValueError, match=r"messages is .*, expected a list of messages"):
        Chat.from_history({"messages": messages})
