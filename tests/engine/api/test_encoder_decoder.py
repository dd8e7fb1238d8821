"""LLM on a tiny encoder-decoder: the prompt is read as a source, the answer starts afresh."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.api.client import llm
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.registry import REGISTRY
from gnomon.engine.cli.main import main
from gnomon.engine.errors import LMStudioPredictionError, LMStudioValueError

GOLDEN = Path(__file__).parents[2] / "golden" / "encoder_decoders"
KEY = "acme/tiny-t5"
TEXT = "bad cab"
GREEDY: dict[str, Any] = {"temperature": 0, "maxTokens": 12, "repeatPenalty": 1}
LOAD: Any = {"compute": "float32"}


@pytest.fixture
def models(tmp_path: Path, encoder_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Put the tiny model in the models folder, with some metadata changed."""
    monkeypatch.setenv("GNOMON_MODELS", str(tmp_path))

    def put(**kv: Any) -> LLM:
        place = tmp_path / "acme" / "tiny-t5"
        place.mkdir(parents=True)
        shutil.copy(encoder_path("t5", GOLDEN, kv=kv), place / "tiny.gguf")
        return llm(KEY, config=LOAD)

    yield put
    for instance in REGISTRY.loaded():
        REGISTRY.unload(instance.identifier)


def greedy(model: LLM, source: list[int], count: int) -> list[int]:
    """The likeliest tokens, by a session of one's own."""
    with model.session() as session:
        session.encode(source)
        ids = [0]
        for _ in range(count):
            logits: Any = session.feed(ids[-1:])
            ids.append(int(np.argmax(logits)))
    return ids[1:]


def text_of(model: LLM, ids: list[int]) -> str:
    return str(model._instance.model.tokenizer.decode(ids))


def test_complete_answers_to_the_prompt_as_a_source(models: Any) -> None:
    model = models()
    source = model.tokenize(TEXT)
    assert source[-1] == 1, "a source ends with the end token"
    answer = model.complete(TEXT, config=GREEDY)
    assert answer.content == text_of(model, greedy(model, source, 12))
    assert answer.stats.stop_reason == "maxPredictedTokensReached"
    assert answer.stats.prompt_tokens_count == len(source)
    assert answer.stats.total_tokens_count == len(source) + 12


def test_respond_without_a_template_reads_what_is_said(models: Any) -> None:
    model = models()
    assert model.respond(TEXT, config=GREEDY).content == model.complete(TEXT, config=GREEDY).content


def test_an_answer_ends_with_an_end_token(models: Any) -> None:
    plain = models()
    ids = greedy(plain, plain.tokenize(TEXT), 12)
    end = next(id_ for id_ in ids if id_ != ids[0])
    plain.unload()
    shutil.rmtree(Path(plain._instance.path).parent)
    model = models(**{"tokenizer.ggml.eot_token_id": ["UINT32", end]})
    answer = model.complete(TEXT, config=GREEDY)
    assert answer.stats.stop_reason == "eosFound"
    assert answer.content == text_of(model, ids[: ids.index(end)])


def test_prompts_in_turn_leave_nothing_behind(models: Any) -> None:
    model = models()
    first, other = (model.complete(text, config=GREEDY).content for text in (TEXT, "a b c d e"))
    assert first != other
    assert model.complete(TEXT, config=GREEDY).content == first
    assert model._instance.model._pages.in_use == 0, "no session is kept"


def test_drafts_by_lookup_change_no_token(models: Any) -> None:
    model = models()
    config = GREEDY | {"maxTokens": 60}
    plain = model.complete(TEXT, config=config | {"promptLookup": False})
    drafted = {"promptLookup": True, "speculativeDecodingNumDraftTokensExact": 3}
    assert model.complete(TEXT, config=config | drafted).content == plain.content


def test_a_draft_model_is_refused(models: Any) -> None:
    with pytest.raises(LMStudioValueError, match="has an encoder"):
        models().complete(TEXT, config={"draftModel": KEY})


def test_a_prompt_longer_than_the_context_is_refused(models: Any) -> None:
    with pytest.raises(LMStudioPredictionError, match="the context holds 512"):
        models().complete("a " * 600, config=GREEDY)


def test_an_answer_goes_on_past_the_context(models: Any) -> None:
    config = GREEDY | {"maxTokens": 530, "contextOverflowPolicy": "rollingWindow"}
    answer = models().complete(TEXT, config=config)
    assert answer.stats.predicted_tokens_count == 530


def test_a_file_without_a_first_token_says_so(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models()
    hparams = model._instance.model.hparams
    object.__setattr__(hparams, "start", None)
    with pytest.raises(LMStudioPredictionError, match="which token an answer begins with"):
        model.complete(TEXT, config=GREEDY)


def test_warm_runs_both_stacks(models: Any, capsys: pytest.CaptureFixture[str]) -> None:
    models().unload()
    assert main(["warm", "--model", KEY]) in (None, 0)


def test_cpu_threads_hold_for_reading_the_source_too(
    models: Any, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_THREADS", "2")
    model = models()
    ran.clear()  # packing weights is the load's
    model.complete(TEXT, config={**GREEDY, "cpuThreads": 1})
    assert len(ran) > 2
    assert set(ran) == {1}
