"""The API on real models: right answers, the same with a kept beginning and with two callers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gnomon.engine.api.chat import Chat
from gnomon.engine.api.client import llm
from gnomon.engine.api.llm import LLM
from gnomon.engine.errors import LMStudioPredictionError

GREEDY = {"temperature": 0}
PARIS = "The capital of France is Paris."


@pytest.fixture(scope="module")
def smollm2(smollm2_path: Path) -> Iterator[LLM]:
    model = llm(str(smollm2_path), config={"contextLength": 512})
    yield model
    model.unload()


@pytest.fixture(scope="module")
def gemma(gemma_path: Path) -> Iterator[LLM]:
    model = llm(str(gemma_path), config={"contextLength": 256})
    yield model
    model.unload()


def test_smollm2_knows_the_capital_of_france(smollm2: LLM) -> None:
    result = smollm2.respond("What is the capital of France?", config=GREEDY)
    assert (result.content, result.stats.stop_reason) == (PARIS, "eosFound")


def test_fragments_hold_whole_characters_and_join_to_the_answer(smollm2: LLM) -> None:
    config = {"seed": 3, "temperature": 1.5, "maxTokens": 24}
    stream = smollm2.respond_stream("Say hello in Greek, Thai and emoji.", config=config)
    pieces = [fragment.content for fragment in stream]
    assert "".join(pieces) == stream.result().content
    assert not any("\ufffd" in piece for piece in pieces[:-1])


def test_the_default_system_prompt_of_the_template_is_there(smollm2: LLM) -> None:
    text = smollm2.apply_prompt_template("Hi")
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_a_second_turn_is_the_same_with_and_without_a_kept_beginning(
    smollm2: LLM, smollm2_path: Path
) -> None:
    chat = Chat()
    chat.add_user_message("What is the capital of France?")
    chat.add_assistant_response(smollm2.respond(chat, config=GREEDY))
    chat.add_user_message("And of Italy?")
    config = {"seed": 11, "maxTokens": 24}
    warm = smollm2.respond(chat, config=config).content
    smollm2._instance.sessions.close()
    assert smollm2.respond(chat, config=config).content == warm


def test_two_callers_at_once_get_right_answers(smollm2: LLM) -> None:
    questions = ["What is the capital of France?", "What is 2 + 2?"] * 2

    def ask(question: str) -> str:
        return smollm2.respond(question, config={**GREEDY, "maxTokens": 16}).content

    alone = [ask(question) for question in questions]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, questions)) == alone


def test_a_full_context_is_told(smollm2_path: Path) -> None:
    model = llm(str(smollm2_path), config={"contextLength": 48})
    result = model.complete("Once upon a time", config={**GREEDY, "repeatPenalty": False})
    model.unload()
    assert result.stats.stop_reason == "contextLengthReached"
    assert result.stats.total_tokens_count == 48


def test_gemma_continues_a_text(gemma: LLM) -> None:
    config = {**GREEDY, "repeatPenalty": False, "maxTokens": 4}
    result = gemma.complete("The capital of France is", config=config)
    assert result.content == " the capital of the"


def test_gemma_has_no_chat_template(gemma: LLM) -> None:
    with pytest.raises(LMStudioPredictionError, match=r"complete\(\)"):
        gemma.respond("Hi")


def test_tokens_come_back_as_text(smollm2: LLM) -> None:
    text = "Zoë spent 3 € (ok?) 😀"
    ids = smollm2.tokenize(text)
    assert smollm2.detokenize(ids) == text  # type: ignore[arg-type]


def test_info_is_the_file_s(smollm2: LLM) -> None:
    info = smollm2.get_info()
    assert (info.architecture, info.size_bytes, info.context_length) == ("llama", 98_362_432, 512)
