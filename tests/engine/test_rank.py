"""Reranking: what is read of a pair, and the classifier worked out by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.embed import hidden_rows
from gnomon.engine.errors import LMStudioValueError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.rank import pair, rank, score

RANK = {"bert.pooling_type": ["UINT32", 4]}
HEAD = [["cls.weight", [64, 64], "F32"], ["cls.bias", [64], "F32"]]
OUT = [["cls.output.weight", [64, 1], "F32"], ["cls.output.bias", [1], "F32"]]


class Letters:
    """A tokenizer of one id per letter, 100 before a text and 101 behind it."""

    around = ((100,), (101,))

    def encode(self, text: str, *, add_special: bool = True) -> list[int]:
        return [ord(letter) - 96 for letter in text]

    def encode_segments(self, segments: list[tuple[str, bool]]) -> list[int]:
        return [own * 50 + len(text) for text, own in segments]


@pytest.fixture
def reranker(encoder_path: Any) -> Model:
    return opened(encoder_path("bert", kv=RANK, tensors=HEAD + OUT))


def opened(path: Path) -> Model:
    model = Model.open(path, LoadConfig(compute="float64"))
    model.__dict__["tokenizer"] = Letters()
    return model


def test_a_pair_is_one_text(reranker: Model) -> None:
    assert pair(reranker, "ab", "c") == [100, 1, 2, 101, 3, 101]


def test_two_separators_stand_between_where_the_file_says_so(encoder_path: Any) -> None:
    twice = {"tokenizer.ggml.add_sep_token": ["BOOL", True]}
    model = opened(encoder_path("bert", kv=RANK | twice, tensors=HEAD + OUT))
    assert pair(model, "ab", "c") == [100, 1, 2, 101, 101, 3, 101]


def test_the_file_s_template_is_followed_and_texts_are_no_template(encoder_path: Any) -> None:
    template = {"tokenizer.chat_template.rerank": ["STRING", "Q{query}D{document}!"]}
    model = opened(encoder_path("bert", kv=RANK | template, tensors=HEAD + OUT))
    assert pair(model, "abc", "{query}") == [51, 3, 51, 7, 51]


def test_the_score_is_the_classifier_s(reranker: Model) -> None:
    row = hidden_rows(reranker, [pair(reranker, "ab", "c")])[0][0]
    w = reranker.closing
    expected = w.cls_output @ np.tanh(w.cls @ row + w.cls_bias) + w.cls_output_bias
    assert rank(reranker, "ab", ["c"]) == pytest.approx([float(expected[0])], abs=1e-12)


def test_without_the_first_layer_the_row_goes_to_the_output(encoder_path: Any) -> None:
    model = opened(encoder_path("bert", kv=RANK, tensors=OUT))
    row = np.linspace(-1, 1, 64)
    expected = model.closing.cls_output @ row + model.closing.cls_output_bias
    assert score(model, row) == pytest.approx(float(expected[0]), abs=1e-12)


def test_a_decoder_s_first_output_is_a_share() -> None:
    output = np.array([[1.0, 0.0], [0.0, 1.0]])
    closing = SimpleNamespace(cls=None, cls_output=output, cls_output_bias=None)
    model: Any = SimpleNamespace(closing=closing, arch=SimpleNamespace(causal=True))
    assert score(model, np.array([2.0, 1.0])) == pytest.approx(1 / (1 + np.exp(-1)))


def test_documents_keep_their_order_and_bits(reranker: Model) -> None:
    documents = ["c", "defg", "h" * 30, "c"]
    found = rank(reranker, "ab", documents)
    assert found == [rank(reranker, "ab", [document])[0] for document in documents]


def test_a_model_without_classifier_is_refused(encoder_path: Any) -> None:
    with pytest.raises(LMStudioValueError, match="found mean, expected rank"):
        rank(opened(encoder_path("bert")), "a", ["b"])
