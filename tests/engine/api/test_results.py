"""Results: how they are shown, what statistics they carry."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.api.config import LlmLoadModelConfig, LlmPredictionConfig
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.results import (
    LlmInfo,
    LlmPredictionStats,
    PredictionResult,
    PredictionRoundResult,
)

GREEDY = {"temperature": 0, "repeatPenalty": False}
INFO = LlmInfo(
    model_key="toy",
    format="gguf",
    display_name="Toy",
    path="toy.gguf",
    size_bytes=3,
    vision=False,
    trained_for_tool_use=True,
    max_context_length=64,
)


def result(content: str, parsed: Any = None) -> PredictionResult:
    return PredictionResult(
        content=content,
        parsed=content if parsed is None else parsed,
        stats=LlmPredictionStats(stop_reason="eosFound"),
        model_info=INFO,
        load_config=LlmLoadModelConfig(),
        prediction_config=LlmPredictionConfig(),
    )


def test_a_result_is_shown_by_its_content() -> None:
    made = result("hi")
    assert (str(made), repr(made)) == ("hi", "PredictionResult(content='hi')")


def test_a_structured_result_is_shown_as_json() -> None:
    made = result('{"b": 1}', {"b": 1})
    assert (made.structured, str(made)) == (True, '{\n  "b": 1\n}')


def test_plain_text_is_not_structured() -> None:
    assert not result("hi").structured


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        result("hi").content = "yo"  # type: ignore[misc]


def test_a_round_s_result_has_its_number_and_shows_all_fields() -> None:
    made = PredictionRoundResult.from_result(result("hi"), 2)
    assert (made.content, made.round_index) == ("hi", 2)
    assert "round_index=2" in repr(made)


def test_info_is_written_in_camel_case_with_its_type() -> None:
    shown = INFO.to_dict()
    assert (shown["type"], shown["modelKey"], shown["trainedForToolUse"]) == ("llm", "toy", True)


def test_statistics_count_tokens(toy: LLM) -> None:
    stats = toy.complete("w", config=GREEDY).stats
    assert (
        stats.prompt_tokens_count,
        stats.predicted_tokens_count,
        stats.total_tokens_count,
        stats.stop_reason,
        stats.num_gpu_layers,
    ) == (2, 3, 5, "eosFound", 0)


def test_statistics_have_times(toy: LLM) -> None:
    stats = toy.complete("a", config=GREEDY).stats
    assert (stats.time_to_first_token_sec or 0) > 0
    assert (stats.tokens_per_second or 0) > 0


def test_a_result_tells_the_seed_that_repeats_it(toy: LLM) -> None:
    first = toy.complete("dice", config={"maxTokens": 20})
    again = toy.complete("dice", config={"maxTokens": 20, "seed": first.prediction_config.seed})
    assert again.content == first.content


def test_a_result_s_own_config_repeats_it(toy: LLM) -> None:
    first = toy.complete("dice", config={"maxTokens": 20})
    assert toy.complete("dice", config=first.prediction_config).content == first.content


def test_log_probabilities_are_listed_by_token(toy: LLM) -> None:
    logprobs = toy.complete("y", config={**GREEDY, "logprobs": 2}).logprobs
    assert logprobs is not None
    (entry,) = logprobs
    assert (entry["token"], entry["text"], len(entry["top"])) == (ord("z"), "z", 2)
    assert entry["logprob"] == entry["top"][0]["logprob"]


def test_there_are_no_log_probabilities_unless_asked_for(toy: LLM) -> None:
    assert toy.complete("y", config=GREEDY).logprobs is None
