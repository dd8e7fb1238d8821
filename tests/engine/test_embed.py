"""Embeddings: pooling, shared steps, limits; all-MiniLM-L6-v2 against transformers in float64."""

from __future__ import annotations

import functools
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.embed import SIZES, batches, embed, hidden_rows
from gnomon.engine.errors import LMStudioValueError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

MODELS = Path(__file__).parents[1] / "golden" / "models"
TEXT = list(range(20))
KEY = "bert.pooling_type"


@pytest.fixture(scope="module")
def pooling(encoder_path: Any) -> Any:
    """A model with a pooling by number."""

    @functools.cache
    def open_model(kind: int) -> Model:
        path = encoder_path("bert", kv={KEY: ["UINT32", kind]})
        return Model.open(path, LoadConfig(compute="float32", eval_batch_size=32))

    return open_model


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (0, lambda rows: rows),
        (1, lambda rows: rows.mean(axis=0)),
        (2, lambda rows: rows[0]),
        (3, lambda rows: rows[-1]),
    ],
    ids=["none", "mean", "cls", "last"],
)
def test_pooling_is_the_file_s(kind: int, expected: Any, pooling: Any) -> None:
    rows = hidden_rows(pooling(kind), [TEXT])[0]
    found = embed(pooling(kind), [TEXT], normalize=False)[0]
    assert np.allclose(found, expected(rows), rtol=0, atol=1e-15)


def test_vectors_have_length_one(pooling: Any) -> None:
    assert np.linalg.norm(embed(pooling(1), [TEXT])[0]) == pytest.approx(1, abs=1e-15)


def test_rows_that_are_not_pooled_keep_their_length(pooling: Any) -> None:
    assert np.array_equal(embed(pooling(0), [TEXT])[0], hidden_rows(pooling(0), [TEXT])[0])


def test_no_texts_give_no_vectors(pooling: Any) -> None:
    assert embed(pooling(1), []) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([[1], []], "text 1: found no tokens"),
        ([[1] * 65], "text 0: found 65 tokens, the context holds 64"),
        ([[1, 128]], "found token id 128, expected 0 to 127"),
        ([[-1]], "found token id -1"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    texts: list[list[int]], message: str, pooling: Any
) -> None:
    with pytest.raises(LMStudioValueError, match=message):
        embed(pooling(1), texts)


def test_a_text_longer_than_a_batch_goes_alone(pooling: Any) -> None:
    long = [k % 100 for k in range(64)]
    found = embed(pooling(1), [long, TEXT])
    assert [v.tobytes() for v in found] == [
        embed(pooling(1), [t])[0].tobytes() for t in (long, TEXT)
    ]


def test_a_step_gives_its_pages_back(pooling: Any) -> None:
    embed(pooling(1), [TEXT] * 5)
    assert pooling(1)._pages.in_use == 0


def test_batches_hold_every_text_once_within_the_limit() -> None:
    lengths = [int(n) for n in np.random.default_rng(5).integers(1, 40, 200)]
    found = list(batches(lengths, 64))
    assert sorted(place for batch in found for place in batch) == list(range(200))
    assert max(sum(lengths[place] for place in batch) for batch in found) <= 64


def test_no_step_is_filled_up_by_more_than_a_half() -> None:
    assert all(after <= 1.5 * before + 8 for before, after in pairwise(SIZES))


def test_a_step_of_many_rows_is_filled_up_by_no_more_than_a_half_either(
    decoder_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    def counting(model: Model, pieces: Any) -> Any:
        rows.append(sum(len(ids) for _, ids in pieces))
        return np.zeros((rows[-1], 8))

    monkeypatch.setattr(Model, "hidden", counting)
    model = Model.open(decoder_path, LoadConfig(context_length=1024, eval_batch_size=4096))
    hidden_rows(model, [[1] * 390])
    assert rows == [512]


def test_a_decoder_takes_a_long_text_in_parts(decoder_path: Path) -> None:
    whole = Model.open(decoder_path, LoadConfig(compute="float32", eval_batch_size=64))
    parts = Model.open(decoder_path, LoadConfig(compute="float32", eval_batch_size=16))
    text = list(range(50))
    assert embed(whole, [text])[0].tobytes() == embed(parts, [text])[0].tobytes()


@pytest.fixture
def decoder_path(encoder_path: Any, archs_golden: Path) -> Path:
    """A language model's file that says how to pool."""
    return Path(encoder_path("llama-dense", archs_golden, kv={"llama.pooling_type": ["UINT32", 3]}))


@pytest.fixture(scope="module")
def minilm(minilm_path: Path) -> Any:
    @functools.cache
    def open_model(compute: Any) -> Model:
        return Model.open(minilm_path, LoadConfig(compute=compute))

    return open_model


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Any], np.ndarray]:
    facts = json.loads((MODELS / "all-minilm-l6-v2.json").read_text())
    return facts, np.load(MODELS / "all-minilm-l6-v2.npz")["embeddings"]


def test_minilm_s_token_ids_are_the_goldens(minilm: Any, golden: Any) -> None:
    tokenizer = minilm("float32").tokenizer
    assert [tokenizer.encode(text) for text in golden[0]["sentences"]] == golden[0]["tokens"]


def test_minilm_in_float32_is_exact_to_rounding(minilm: Any, golden: Any) -> None:
    found = np.array(embed(minilm("float32"), golden[0]["tokens"]))
    assert np.abs(found - golden[1]).max() <= 2e-6


def test_minilm_in_float64_is_exact(minilm: Any, golden: Any) -> None:
    found = np.array(embed(minilm("float64"), golden[0]["tokens"][:4]))
    assert np.abs(found - golden[1][:4]).max() <= 1e-14


def test_minilm_in_int8_is_close(minilm: Any, golden: Any) -> None:
    found = np.array(embed(minilm("int8"), golden[0]["tokens"]))
    assert (1 - np.sum(found * golden[1], axis=1)).max() <= 2e-3


@pytest.mark.parametrize("compute", ["int8", "float32"])
def test_one_sentence_alone_and_in_a_list_of_64_has_the_same_bytes(
    compute: str, minilm: Any, golden: Any
) -> None:
    texts = (golden[0]["tokens"] * 7)[:64]
    together = embed(minilm(compute), texts)
    for place in range(10):
        assert embed(minilm(compute), [texts[place]])[0].tobytes() == together[place].tobytes()
