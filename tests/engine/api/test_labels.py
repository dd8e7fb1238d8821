"""Labeller: tool calls are taken out, reasoning is named, tokens are counted once."""

from __future__ import annotations

from gnomon.engine.api.labels import Labeller

THINK = {"<think>": "</think>"}


def run(labeller: Labeller, pieces: list[tuple[str, int]]) -> list[tuple[str, str, int]]:
    fragments = [f for text, tokens in pieces for f in labeller.push(text, tokens)]
    fragments += list(labeller.flush())
    return [(f.reasoning_type, f.content, f.tokens_count) for f in fragments]


def test_plain_text_is_the_answer() -> None:
    labeller = Labeller({}, None, expects_tools=False)
    assert run(labeller, [("a", 1), ("b", 2)]) == [("none", "a", 1), ("none", "b", 2)]


def test_reasoning_has_four_types() -> None:
    labeller = Labeller(THINK, None, expects_tools=False)
    assert [kind for kind, *_ in run(labeller, [("<think>a</think>b", 4)])] == [
        "reasoningStartTag",
        "reasoning",
        "reasoningEndTag",
        "none",
    ]


def test_tokens_of_held_text_count_with_the_next_fragment() -> None:
    labeller = Labeller(THINK, None, expects_tools=False)
    assert run(labeller, [("<", 1), ("x", 1)]) == [("none", "<x", 2)]


def test_tool_calls_are_taken_out_in_both_formats() -> None:
    labeller = Labeller({}, None, expects_tools=True)
    text = "a[TOOL_REQUEST]one[END_TOOL_REQUEST]b<tool_call>two</tool_call>"
    assert [part for _, part, _ in run(labeller, [(text, 9)])] == ["a", "b"]
    assert labeller.tool_calls == ["one", "two"]


def test_an_unfinished_tool_call_is_kept() -> None:
    labeller = Labeller({}, None, expects_tools=True)
    run(labeller, [("<tool_call>on", 3), ("e", 1)])
    assert labeller.tool_calls == ["one"]


def test_tool_calls_stay_in_the_answer_if_none_are_expected() -> None:
    labeller = Labeller({}, None, expects_tools=False)
    text = "<tool_call>x</tool_call>"
    assert run(labeller, [(text, 1)]) == [("none", text, 1)]
