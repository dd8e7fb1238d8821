"""EmbeddingModel and its session: vectors, tokens, what is listed, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.api.client import (
    Client,
    embedding_model,
    list_downloaded_models,
    list_loaded_models,
    llm,
)
from gnomon.engine.api.embedding import EmbeddingModel
from gnomon.engine.api.kinds import kind_of, kind_of_file
from gnomon.engine.api.registry import REGISTRY
from gnomon.engine.api.results import EmbeddingModelInfo, EmbeddingModelInstanceInfo
from gnomon.engine.cli.main import main
from gnomon.engine.convert import convert
from gnomon.engine.embed import SIZES
from gnomon.engine.errors import LMStudioModelNotFoundError, LMStudioValueError
from gnomon.engine.model import Model
from gnomon.kernels.matmul import FEW

KEY = "acme/tiny-bert"
WORDS = "the cat, a bing."


@pytest.fixture(scope="module")
def tiny(checkpoint: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a converted BERT of two layers."""
    place = tmp_path_factory.mktemp("models")
    checkpoint.write(place / ".in", "bert")  # type: ignore[attr-defined]
    (place / "acme" / "tiny-bert").mkdir(parents=True)
    convert(place / ".in", place / "acme" / "tiny-bert" / "tiny.gguf", "f32")
    return place


@pytest.fixture(autouse=True)
def models(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GNOMON_MODELS", str(tiny))
    yield
    for instance in REGISTRY.loaded():
        REGISTRY.unload(instance.identifier)


@pytest.fixture
def model() -> EmbeddingModel:
    return embedding_model(KEY)


def test_a_text_gives_a_list_of_floats(model: EmbeddingModel) -> None:
    vector = model.embed(WORDS)
    assert (type(vector), {type(x) for x in vector}, len(vector)) == (list, {float}, 64)


def test_several_texts_give_the_same_vectors(model: EmbeddingModel) -> None:
    texts = [WORDS, "a", "the the the the"]
    assert model.embed(texts) == [model.embed(text) for text in texts]


def test_any_iterable_of_texts_will_do(model: EmbeddingModel) -> None:
    assert model.embed(iter(["a", "b"])) == model.embed(["a", "b"])


def test_no_texts_give_no_vectors(model: EmbeddingModel) -> None:
    assert model.embed([]) == []


def test_a_vector_may_keep_its_length(model: EmbeddingModel) -> None:
    whole = np.array(model.embed(WORDS, normalize=False))
    assert np.allclose(whole / np.linalg.norm(whole), model.embed(WORDS), rtol=0, atol=1e-15)


def test_tokenize_adds_begin_and_separator_and_count_tokens_does_not(
    model: EmbeddingModel,
) -> None:
    assert len(model.tokenize(WORDS)) == model.count_tokens(WORDS) + 2


def test_a_text_beyond_the_context_is_refused(model: EmbeddingModel) -> None:
    with pytest.raises(LMStudioValueError, match="found 62 tokens, the context holds 48"):
        model.embed("a " * 60)


@pytest.mark.parametrize("wrong", [b"a", [3], [None]])
def test_what_is_no_text_is_refused(wrong: object, model: EmbeddingModel) -> None:
    with pytest.raises(LMStudioValueError, match="embed: expected"):
        model.embed(wrong)  # type: ignore[call-overload]


def test_ranking_needs_a_reranker(model: EmbeddingModel) -> None:
    with pytest.raises(LMStudioValueError, match="expected rank"):
        model.rank("a", ["b"])


def test_facts_are_an_embedding_model_s(model: EmbeddingModel) -> None:
    info = model.get_info()
    assert isinstance(info, EmbeddingModelInstanceInfo)
    assert (info.model_key, info.architecture, info.max_context_length) == (KEY, "bert", 48)


def test_llm_points_to_embedding_model() -> None:
    with pytest.raises(LMStudioModelNotFoundError, match=r"use embedding_model\(\)"):
        llm(KEY)


def test_the_same_key_gives_the_same_model(model: EmbeddingModel) -> None:
    assert embedding_model("tiny-bert") == model == embedding_model()


def test_loaded_models_are_listed_by_kind(model: EmbeddingModel) -> None:
    listed = [list_loaded_models(kind) for kind in (None, "llm", "embedding")]
    assert listed == [[model], [], [model]]


def test_files_are_listed_by_kind() -> None:
    keys = [[m.model_key for m in list_downloaded_models(k)] for k in (None, "llm", "embedding")]
    assert keys == [[KEY], [], [KEY]]


def test_a_downloaded_model_knows_its_facts_and_loads() -> None:
    found = Client().embedding.list_downloaded()[0]
    assert isinstance(found.info, EmbeddingModelInfo)
    assert found.model().embed("a") == embedding_model(KEY).embed("a")


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"general.architecture": "bert"}, "llm"),
        ({"general.architecture": "bert", "tokenizer.ggml.model": "bert"}, "embedding"),
        ({"general.architecture": "eurobert", "eurobert.attention.causal": False}, "embedding"),
        ({"general.architecture": "llada", "llada.attention.causal": False}, "llm"),
        ({"general.architecture": "qwen3", "qwen3.pooling_type": 3}, "embedding"),
        ({"general.architecture": "nonsense", "tokenizer.ggml.model": "t5"}, "llm"),
    ],
)
def test_the_kind_is_read_from_metadata(metadata: dict[str, object], kind: str) -> None:
    assert kind_of(metadata) == kind


def test_a_file_that_cannot_be_read_counts_as_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert kind_of_file(tmp_path / "x.gguf") == kind_of_file(tmp_path / "none.gguf") == "llm"


def test_the_command_writes_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", WORDS, "-m", KEY]) == 0
    assert json.loads(capsys.readouterr().out) == embedding_model(KEY).embed(WORDS)


def test_the_command_writes_a_numpy_file_of_lines(tmp_path: Path) -> None:
    target = tmp_path / "vectors.npy"
    assert main(["embed", "a\nthe", "--lines", "--out", str(target), "-m", KEY]) == 0
    expected = np.array(embedding_model(KEY).embed(["a", "the"]), np.float32)
    assert np.array_equal(np.load(target), expected)


def test_warm_runs_an_embedding_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    hidden = Model.hidden

    def counting(model: Model, pieces: Any) -> Any:
        rows.append(sum(len(ids) for _, ids in pieces))
        return hidden(model, pieces)

    monkeypatch.setattr(Model, "hidden", counting)
    assert main(["warm", "-m", KEY]) == 0
    assert capsys.readouterr().err.endswith(f"{KEY} is ready\n")
    assert min(rows) == SIZES[0]
    assert max(rows) > FEW
