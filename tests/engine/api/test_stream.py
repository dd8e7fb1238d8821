"""PredictionStream: the order of calls, cancelling, leaving early, callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from gnomon.engine.api.llm import LLM
from gnomon.engine.api.messages import text_of
from gnomon.engine.errors import LMStudioCancelledError, LMStudioRuntimeError

MakeLLM = Callable[..., LLM]
GREEDY = {"temperature": 0, "repeatPenalty": False}


def fed(llm: LLM) -> list[int]:
    model: Any = llm._instance.model
    return model.fed  # type: ignore[no-any-return]


def test_nothing_runs_before_the_stream_is_iterated(toy: LLM) -> None:
    toy.respond_stream("hi")
    assert fed(toy) == []


def test_fragments_join_to_the_content(toy: LLM) -> None:
    stream = toy.respond_stream("hi", config=GREEDY)
    assert "".join(fragment.content for fragment in stream) == stream.result().content


def test_result_before_the_start_is_a_runtime_error(toy: LLM) -> None:
    with pytest.raises(LMStudioRuntimeError, match="not been initiated"):
        toy.respond_stream("hi").result()


def test_result_while_running_is_a_runtime_error(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    pieces = iter(stream)
    next(pieces)
    with pytest.raises(LMStudioRuntimeError, match="not yet been completed"):
        stream.result()


def test_an_answer_is_received_once(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    stream.wait_for_result()
    with pytest.raises(LMStudioRuntimeError, match="already been received"):
        stream.wait_for_result()
    with pytest.raises(LMStudioRuntimeError, match="already been received"):
        list(stream)


def test_starting_twice_is_a_runtime_error(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    stream.start()
    with pytest.raises(LMStudioRuntimeError, match="already been sent"):
        stream.start()


def test_stats_and_model_info_come_with_the_end(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    assert (stream.stats, stream.model_info) == (None, None)
    result = stream.wait_for_result()
    assert (stream.stats, stream.model_info) == (result.stats, result.model_info)


def test_cancel_ends_the_loop_after_the_current_fragment(toy: LLM) -> None:
    stream = toy.respond_stream("hi", config=GREEDY)
    said = []
    for fragment in stream:
        said.append(fragment.content)
        if len(said) == 2:
            stream.cancel()
    result = stream.result()
    assert (result.content, result.stats.stop_reason, said) == ("Yo", "userStopped", ["Y", "o"])


def test_cancel_before_the_start_means_no_answer(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    stream.cancel()
    result = stream.wait_for_result()
    assert (result.content, result.stats.stop_reason, fed(toy)) == ("", "userStopped", [])


def test_cancel_after_the_end_changes_nothing(toy: LLM) -> None:
    stream = toy.respond_stream("hi", config=GREEDY)
    stream.wait_for_result()
    stream.cancel()
    assert stream.result().stats.stop_reason == "eosFound"


def test_break_leaves_a_usable_partial_result(toy: LLM) -> None:
    stream = toy.respond_stream("hi", config=GREEDY)
    for _ in stream:
        break
    assert (stream.result().content, stream.result().stats.stop_reason) == ("Y", "userStopped")


def test_break_keeps_the_session_for_the_next_call(toy: LLM) -> None:
    for _ in toy.respond_stream("hi", config=GREEDY):
        break
    fed(toy).clear()
    toy.respond("hi", config=GREEDY)
    assert fed(toy)[0] == 1


def test_a_with_block_left_unfinished_is_cancelled(toy: LLM) -> None:
    with toy.respond_stream("hi") as stream:
        pass
    with pytest.raises(LMStudioCancelledError):
        stream.result()


def test_a_break_inside_a_with_block_leaves_the_partial_result(toy: LLM) -> None:
    with toy.respond_stream("hi", config=GREEDY) as stream:
        for _ in stream:
            break
    assert stream.result().content == "Y"


def test_an_error_that_ends_the_with_block_is_the_result(toy: LLM) -> None:
    stream = toy.respond_stream("hi")
    with pytest.raises(ZeroDivisionError), stream:
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        stream.result()


def test_an_unfinished_iterator_ends_with_the_with_block(toy: LLM) -> None:
    with toy.respond_stream("hi") as stream:
        pieces = iter(stream)
        next(pieces)
    assert list(pieces) == []


def test_an_error_of_the_model_is_raised_and_is_the_result(toy: LLM) -> None:
    model: Any = toy._instance.model

    def fail() -> None:
        raise MemoryError("no room")

    model.on_feed = fail
    stream = toy.respond_stream("hi")
    for ask in (stream.wait_for_result, stream.result):
        with pytest.raises(MemoryError, match="no room"):
            ask()


def test_a_prompt_that_does_not_fit_is_raised_from_the_iterator(make_llm: MakeLLM) -> None:
    stream = make_llm(context_length=4).respond_stream("a long message")
    with pytest.raises(Exception, match="the context holds 4"):
        next(iter(stream))


def test_callbacks_come_in_order(toy: LLM) -> None:
    heard: list[str] = []
    toy.respond(
        "hi",
        config={**GREEDY, "maxTokens": 2},
        on_prompt_processing_progress=lambda share: heard.append(f"{share:.0f}"),
        on_first_token=lambda: heard.append("first"),
        on_prediction_fragment=lambda fragment: heard.append(fragment.content),
        on_message=lambda message: heard.append(f"message {text_of(message.content)}"),
    )
    assert heard == ["0", "1", "first", "Y", "o", "message Yo"]


def test_progress_starts_at_0_even_from_a_kept_beginning(toy: LLM) -> None:
    toy.respond("hi", config=GREEDY)
    shares: list[float] = []
    toy.respond("hi", config=GREEDY, on_prompt_processing_progress=shares.append)
    assert shares == [0.0, 1.0]


@pytest.mark.parametrize(
    "name",
    ["on_message", "on_first_token", "on_prediction_fragment", "on_prompt_processing_progress"],
)
def test_an_error_in_a_callback_is_logged_and_the_answer_goes_on(
    toy: LLM, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("broken callback")

    options: Any = {name: broken}
    with caplog.at_level(logging.ERROR, logger="gnomon"):
        answer = toy.respond("hi", config=GREEDY, **options)
    assert answer.content == "You said: hi"
    assert "broken callback" in caplog.text


def test_ctrl_c_in_a_callback_comes_through(toy: LLM) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.respond("hi", on_first_token=stop)


def test_reasoning_is_told_from_the_answer(make_llm: MakeLLM) -> None:
    llm = make_llm(reply=lambda prompt: "<think>hm</think>ok")
    parsing = {"enabled": True, "startString": "<think>", "endString": "</think>"}
    stream = llm.respond_stream("hi", config={**GREEDY, "reasoningParsing": parsing})
    kinds: dict[str, str] = {}
    for fragment in stream:
        kinds[fragment.reasoning_type] = kinds.get(fragment.reasoning_type, "") + fragment.content
    assert kinds == {
        "reasoningStartTag": "<think>",
        "reasoning": "hm",
        "reasoningEndTag": "</think>",
        "none": "ok",
    }


def test_the_content_includes_reasoning(make_llm: MakeLLM) -> None:
    llm = make_llm(reply=lambda prompt: "<think>hm</think>ok")
    parsing = {"enabled": True, "startString": "<think>", "endString": "</think>"}
    result = llm.respond("hi", config={**GREEDY, "reasoningParsing": parsing})
    assert result.content == "<think>hm</think>ok"


def test_a_file_whose_template_thinks_is_parsed_without_being_told(make_llm: MakeLLM) -> None:
    llm = make_llm(reply=lambda prompt: "<think>hm</think>ok")
    model: Any = llm._instance.model
    model.metadata["tokenizer.chat_template"] = "... <think> ... </think>"
    kinds = {fragment.reasoning_type for fragment in llm.respond_stream("hi", config=GREEDY)}
    assert "reasoning" in kinds


def test_token_counts_of_fragments_sum_to_the_answer_s(make_llm: MakeLLM) -> None:
    stream = make_llm(reply=lambda prompt: "né <think>").respond_stream("hi", config=GREEDY)
    total = sum(fragment.tokens_count for fragment in stream)
    assert total == stream.result().stats.predicted_tokens_count
