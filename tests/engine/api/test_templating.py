"""Prompts: what templates are given, what survives a full context, which tags begin open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.api.chat import Chat
from gnomon.engine.api.config import LlmPredictionConfig, parse_prediction_config
from gnomon.engine.api.messages import FileHandle
from gnomon.engine.api.prompt import ManualTemplate, template_messages
from gnomon.engine.api.templating import chat_prompt, chat_text, reasoning_tags, text_prompt
from gnomon.engine.errors import LMStudioPredictionError, LMStudioValueError
from gnomon.formats.errors import TemplateError, TokenizerError

MakeToy = Callable[..., Any]
THINK = {"enabled": True, "startString": "<t>", "endString": "</t>"}


def config(**keys: Any) -> LlmPredictionConfig:
    return parse_prediction_config(keys)


def test_parts_of_a_message_are_joined_by_line_breaks() -> None:
    chat = Chat.from_history("one")
    chat.add_user_message("two")
    assert template_messages(chat) == [{"role": "user", "content": "one\ntwo"}]


def test_tool_calls_and_results_are_given_as_templates_expect_them() -> None:
    chat = Chat()
    chat.add_assistant_response("so", [{"name": "add", "id": "1", "arguments": {"a_b": 1}}])
    chat.add_tool_results([{"content": "3", "toolCallId": "1"}, {"content": "4"}])
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a_b": 1}}}
    assert template_messages(chat) == [
        {"role": "assistant", "content": "so", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
        {"role": "tool", "content": "4", "tool_call_id": None},
    ]


def test_a_file_in_a_message_is_refused() -> None:
    chat = Chat()
    chat.add_user_message(
        FileHandle(name="cat.png", identifier="1", size_bytes=1, file_type="image")
    )
    with pytest.raises(LMStudioValueError, match=r"cat\.png.*text only"):
        template_messages(chat)


def test_a_manual_template_wraps_every_role() -> None:
    parts = {"beforeUser": "U:", "afterUser": "\n", "beforeAssistant": "A:", "beforeSystem": "S:"}
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]
    rendered = ManualTemplate(parts).render(messages)
    assert rendered.text == "S:xU:y\nA:"
    assert rendered.segments[:2] == [("S:", True), ("x", False)]


def test_truncate_middle_keeps_system_prompt_and_first_user_message(make_toy: MakeToy) -> None:
    chat = Chat("be kind")
    chat.add_user_message("hi")
    chat.add_assistant_response("yo")
    chat.add_user_message("more")
    model = make_toy()
    prompt = chat_prompt(model, chat, config(contextOverflowPolicy="truncateMiddle"), None)
    kept = model.tokenizer.decode(prompt.ids[: prompt.keep], special=True)
    assert kept.endswith("be kind<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n")


def test_truncate_middle_without_a_user_message_keeps_the_begin_token(make_toy: MakeToy) -> None:
    prompt = chat_prompt(
        make_toy(), Chat("be kind"), config(contextOverflowPolicy="truncateMiddle"), None
    )
    assert prompt.keep == 1


def test_rolling_window_keeps_the_begin_token_alone(make_toy: MakeToy) -> None:
    prompt = chat_prompt(
        make_toy(), Chat.from_history("hi"), config(contextOverflowPolicy="rollingWindow"), None
    )
    assert prompt.keep == 1


def test_truncate_middle_of_a_plain_text_keeps_its_beginning(make_toy: MakeToy) -> None:
    prompt = text_prompt(make_toy(), "abc", config(contextOverflowPolicy="truncateMiddle"))
    assert prompt.keep == len(prompt.ids)


def test_a_prompt_that_ends_with_an_opening_tag_has_it_open(make_toy: MakeToy) -> None:
    template = {
        "type": "manual",
        "manualPromptTemplate": {"beforeAssistant": "<t>\n"},
        "stopStrings": ["!"],
    }
    prompt = chat_prompt(
        make_toy(),
        Chat.from_history("hi"),
        config(promptTemplate=template, reasoningParsing=THINK),
        None,
    )
    assert (prompt.open_tag, prompt.stop_strings) == ("<t>", ("!",))


@pytest.mark.parametrize(
    ("source", "given", "tags"),
    [
        ("plain", None, {}),
        ("<think> </think>", None, {"<think>": "</think>"}),
        ("<think> </think>", {"enabled": False}, {}),
        ("plain", THINK, {"<t>": "</t>"}),
    ],
)
def test_reasoning_tags(
    make_toy: MakeToy, source: str, given: dict[str, Any] | None, tags: dict[str, str]
) -> None:
    model = make_toy()
    model.metadata["tokenizer.chat_template"] = source
    assert reasoning_tags(model, config(reasoningParsing=given)) == tags


def test_reasoning_parsing_needs_both_tags(make_toy: MakeToy) -> None:
    with pytest.raises(LMStudioValueError, match="startString and endString"):
        reasoning_tags(make_toy(), config(reasoningParsing={"enabled": True, "startString": "<t>"}))


@pytest.mark.parametrize(
    "template",
    [{"type": "jinja"}, {"type": "manual"}, {"jinjaPromptTemplate": {"template": "x"}}],
)
def test_an_incomplete_prompt_template_is_refused(
    make_toy: MakeToy, template: dict[str, Any]
) -> None:
    with pytest.raises(LMStudioValueError, match="promptTemplate"):
        chat_prompt(make_toy(), Chat.from_history("hi"), config(promptTemplate=template), None)


def test_a_jinja_template_renders(make_toy: MakeToy) -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    template = {"type": "jinja", "jinjaPromptTemplate": {"template": source}}
    model = make_toy()
    prompt = chat_prompt(model, Chat.from_history("hi"), config(promptTemplate=template), None)
    assert model.tokenizer.decode(prompt.ids).endswith("[user]hi")


def test_what_a_template_refuses_is_a_prediction_error(make_toy: MakeToy) -> None:
    model = make_toy()

    def refuse(*_: object, **__: object) -> None:
        raise TemplateError("roles must alternate")

    model.chat_template.render = refuse
    with pytest.raises(LMStudioPredictionError, match="roles must alternate"):
        chat_text(model, [{"role": "user", "content": "hi"}], None)


def test_what_a_tokenizer_refuses_is_a_value_error(make_toy: MakeToy) -> None:
    model = make_toy()

    def refuse(*_: object, **__: object) -> None:
        raise TokenizerError("this file has no tokenizer")

    model.tokenizer.encode = refuse
    with pytest.raises(LMStudioValueError, match="no tokenizer"):
        text_prompt(model, "hi", config())
