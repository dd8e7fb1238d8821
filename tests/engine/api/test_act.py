"""act: rounds, results told to the model, errors, callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.api.chat import Chat
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.messages import ToolCallRequest
from gnomon.engine.errors import LMStudioPredictionError, LMStudioValueError

MakeLLM = Callable[..., LLM]
GREEDY = {"temperature": 0, "repeatPenalty": False}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calling(*calls: str) -> Callable[[str], str]:
    """A model that makes these calls, then says what the tool told it."""

    def reply(prompt: str) -> str:
        told = prompt.rpartition("<|im_start|>tool\n")
        if told[1]:
            return f"It is {told[2].partition('<|im_end|>')[0]}."
        return "Wait. " + "".join(f"<tool_call>{call}</tool_call>" for call in calls)

    return reply


def act(llm: LLM, tools: Any, **options: Any) -> tuple[list[str], int]:
    """Texts of the messages, and the number of rounds."""
    chat = Chat("be exact")
    chat.add_user_message("1 + 2?")
    result = llm.act(chat, tools, config=GREEDY, on_message=chat.append, **options)
    texts = [
        str(getattr(part, "text", None) or getattr(part, "content", None) or "call")
        for message in chat._messages[2:]
        for part in message.content
    ]
    return texts, result.rounds


ONE_CALL = '{"name": "add", "arguments": {"a": 1, "b": 2}}'


def test_a_tool_is_called_and_its_result_told(make_llm: MakeLLM) -> None:
    llm = make_llm(calling(ONE_CALL))
    assert act(llm, [add]) == (["Wait. ", "call", "3", "It is 3."], 2)


def test_act_without_a_call_is_one_round(make_llm: MakeLLM) -> None:
    assert act(make_llm(lambda prompt: "Three."), [add]) == (["Three."], 1)


def test_the_chat_given_is_not_changed(make_llm: MakeLLM) -> None:
    chat = Chat.from_history("1 + 2?")
    before = str(chat)
    make_llm(calling(ONE_CALL)).act(chat, [add], config=GREEDY)
    assert str(chat) == before


def test_results_are_json(make_llm: MakeLLM) -> None:
    def name() -> str:
        """Tell the name."""
        return "Zoë"

    texts, _ = act(make_llm(calling('{"name": "name"}')), [name])
    assert texts[2] == '"Zoë"'


def test_an_unknown_tool_is_told_to_the_model(make_llm: MakeLLM) -> None:
    texts, _ = act(make_llm(calling('{"name": "sub"}')), [add])
    assert texts[2] == "Cannot find tool with name sub."


def test_wrong_arguments_are_told_to_the_model(make_llm: MakeLLM) -> None:
    texts, _ = act(make_llm(calling('{"name": "add", "arguments": {"a": "1"}}')), [add])
    assert texts[2].startswith("Failed to parse arguments for tool add: ")


def test_an_exception_of_a_tool_is_told_to_the_model(make_llm: MakeLLM) -> None:
    def fail() -> None:
        """Fail."""
        raise RuntimeError("no")

    texts, _ = act(make_llm(calling('{"name": "fail"}')), [fail])
    assert texts[2] == "\"Unhandled Python exception: RuntimeError('no')\""


def test_a_result_that_is_no_json_is_told_to_the_model(make_llm: MakeLLM) -> None:
    def odd() -> object:
        """Give an object."""
        return object()

    texts, _ = act(make_llm(calling('{"name": "odd"}')), [odd])
    assert "Unhandled Python exception: TypeError" in texts[2]


def test_ctrl_c_in_a_tool_comes_through(make_llm: MakeLLM) -> None:
    def stop() -> None:
        """Stop."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        act(make_llm(calling('{"name": "stop"}')), [stop])


def test_the_handler_may_replace_what_the_model_is_told(make_llm: MakeLLM) -> None:
    texts, _ = act(
        make_llm(calling('{"name": "sub"}')),
        [add],
        handle_invalid_tool_request=lambda error, request: f"use add, not {request.name}",
    )
    assert texts[2] == "use add, not sub"


def test_the_handler_may_abort(make_llm: MakeLLM) -> None:
    def refuse(error: LMStudioPredictionError, request: ToolCallRequest | None) -> str:
        raise error

    with pytest.raises(LMStudioPredictionError, match="Cannot find tool"):
        act(make_llm(calling('{"name": "sub"}')), [add], handle_invalid_tool_request=refuse)


def test_a_call_that_cannot_be_read_is_a_prediction_error(make_llm: MakeLLM) -> None:
    heard: list[Any] = []
    with pytest.raises(LMStudioPredictionError, match="could not read a tool call"):
        act(
            make_llm(calling("add(1, 2)")),
            [add],
            handle_invalid_tool_request=lambda error, request: heard.append(request),
        )
    assert heard == [None]


def test_the_last_round_offers_no_tools(make_llm: MakeLLM) -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return calling(ONE_CALL)(prompt)

    act(make_llm(reply), [add], max_prediction_rounds=2)
    assert "<|im_start|>tools" in prompts[0]
    assert "<|im_start|>tools" not in prompts[-1]


def test_a_call_in_the_last_round_is_a_prediction_error(make_llm: MakeLLM) -> None:
    llm = make_llm(lambda prompt: f"<tool_call>{ONE_CALL}</tool_call>")
    with pytest.raises(LMStudioPredictionError, match="last round"):
        act(llm, [add], max_prediction_rounds=2)


def test_fewer_than_one_round_is_refused(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="max_prediction_rounds is 0"):
        toy.act("hi", [add], max_prediction_rounds=0)


def test_fewer_than_one_tool_at_a_time_is_refused(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="max_parallel_tool_calls is 0"):
        toy.act("hi", [add], max_parallel_tool_calls=0)


def test_several_calls_of_a_round_are_all_made(make_llm: MakeLLM) -> None:
    seen: list[int] = []

    def note(n: int) -> int:
        """Note a number."""
        seen.append(n)
        return n

    calls = [f'{{"name": "note", "arguments": {{"n": {n}}}}}' for n in range(3)]
    act(make_llm(calling(*calls)), [note], max_parallel_tool_calls=None)
    assert sorted(seen) == [0, 1, 2]


def test_tool_calls_are_no_part_of_the_fragments(make_llm: MakeLLM) -> None:
    shown: list[str] = []
    llm = make_llm(calling(ONE_CALL))
    act(llm, [add], on_prediction_fragment=lambda fragment, number: shown.append(fragment.content))
    assert "".join(shown) == "Wait. It is 3."


def test_callbacks_of_a_round_come_in_order(make_llm: MakeLLM) -> None:
    heard: list[str] = []
    make_llm(calling(ONE_CALL)).act(
        "1 + 2?",
        [add],
        config=GREEDY,
        on_round_start=lambda number: heard.append(f"start {number}"),
        on_first_token=lambda number: heard.append(f"first {number}"),
        on_prediction_completed=lambda result: heard.append(f"done {result.round_index}"),
        on_message=lambda message: heard.append(message.role),
        on_round_end=lambda number: heard.append(f"end {number}"),
    )
    assert heard == [
        *("start 0", "first 0", "done 0", "assistant", "tool", "end 0"),
        *("start 1", "first 1", "done 1", "assistant", "end 1"),
    ]


def test_the_default_format_works_for_a_template_without_tools(make_llm: MakeLLM) -> None:
    def reply(prompt: str) -> str:
        if "[TOOL_RESULT]3" in prompt:
            return "Three."
        return f"[TOOL_REQUEST]{ONE_CALL}[END_TOOL_REQUEST]" if "[TOOL_REQUEST]" in prompt else "?"

    llm = make_llm(reply, context_length=4096)
    template: Any = llm._instance.model.chat_template
    template.source = "chatml"
    assert act(llm, [add])[0][-1] == "Three."


def test_the_handler_may_tell_nothing(make_llm: MakeLLM) -> None:
    llm = make_llm(calling('{"name": "sub"}'))
    chat = Chat.from_history("1 + 2?")
    llm.act(
        chat,
        [add],
        config=GREEDY,
        on_message=chat.append,
        handle_invalid_tool_request=lambda error, request: "",
    )
    assert chat._messages[2].content[0].content == ""  # type: ignore[union-attr]


@pytest.mark.parametrize("rounds", [1.5, "2", True])
def test_a_number_of_rounds_that_is_not_whole_is_refused(make_llm: MakeLLM, rounds: Any) -> None:
    with pytest.raises(LMStudioValueError, match="max_prediction_rounds is"):
        act(make_llm(calling(ONE_CALL)), [add], max_prediction_rounds=rounds)


def test_a_result_that_is_no_unicode_is_told_as_an_exception(make_llm: MakeLLM) -> None:
    def list_files() -> list[str]:
        """List the files."""
        return ["a\udcff"]

    texts, rounds = act(make_llm(calling('{"name": "list_files"}')), [list_files])
    assert rounds == 2
    assert texts[2].startswith('"Unhandled Python exception: UnicodeEncodeError')
