"""Pooling keys: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.errors import ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.pooling import Pooling

KEY = "bert.pooling_type"


@pytest.mark.parametrize("kind", Pooling)
def test_the_number_names_the_pooling(kind: Pooling, encoder_path: Any) -> None:
    tensors = [["cls.output.weight", [64, 1], "F32"]] if kind is Pooling.RANK else []
    model = Model.open(encoder_path("bert", kv={KEY: ["UINT32", kind.value]}, tensors=tensors))
    assert model.hparams.pooling.kind is kind


def test_another_number_is_refused(encoder_path: Any) -> None:
    with pytest.raises(ModelLoadError, match=r"bert\.pooling_type: found 5"):
        Model.open(encoder_path("bert", kv={KEY: ["UINT32", 5]}))


def test_labels_say_how_many_outputs_a_classifier_has(encoder_path: Any) -> None:
    keys = {KEY: ["UINT32", 4], "bert.classifier.output_labels": ["arr", "STRING", ["no", "yes"]]}
    path = encoder_path("bert", kv=keys, tensors=[["cls.output.weight", [64, 2], "F32"]])
    model = Model.open(path, LoadConfig(compute="float64"))
    assert model.closing.cls_output.shape == (2, 64)


def test_last_matrices_close_an_embedding(encoder_path: Any) -> None:
    tensors = [["dense_2.weight", [64, 96], "F32"], ["dense_3.weight", [96, 64], "F32"]]
    keys = {"gemma-embedding.dense_2_feat_out": ["UINT32", 96]}
    path = encoder_path("gemma-embedding", kv=keys, tensors=tensors)
    model = Model.open(path, LoadConfig(compute="float64"))
    assert (model.closing.dense_2.shape, model.closing.dense_3.shape) == ((96, 64), (64, 96))
