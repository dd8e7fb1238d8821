"""Numbers, pooling, labels and sampling of a folder as metadata; what is odd is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.engine.convert.folder import read_config
from gnomon.engine.convert.metadata import entries
from gnomon.engine.errors import ModelLoadError


def said(folder: Path) -> dict[str, Any]:
    family, config = read_config(folder)
    return {key: value for key, _, value in entries(folder, family, config, "f16", "tiny")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": "64"}, "hidden_size '64', expected a number"),
        ({"hidden_size": 1 << 32}, "hidden_size 4294967296, expected a number"),
        ({"intermediate_size": True}, "intermediate_size True, expected a number"),
        ({"rms_norm_eps": 1e39}, r"rms_norm_eps 1e\+39, expected a number"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps 'small', expected a number"),
        ({"vocab_size": -1}, "vocab_size -1, expected a number"),
    ],
)
def test_a_number_of_another_kind_is_named(
    change: dict[str, Any], message: str, changed: Any
) -> None:
    with pytest.raises(ModelLoadError, match=f"config.json: {message}"):
        said(changed("llama", **change))


def test_sampling_is_carried_over(folder: Any) -> None:
    found = {k: v for k, v in said(folder("llama3")).items() if k.startswith("general.sampling.")}
    values = {"top_k": 20, "top_p": 0.9, "temp": 0.6, "penalty_repeat": 1.05}
    assert found == {f"general.sampling.{key}": value for key, value in values.items()}


def test_sampling_of_another_kind_is_named(changed: Any) -> None:
    folder = changed("llama")
    (folder / "generation_config.json").write_text('{"top_k": "many", "top_p": null}')
    with pytest.raises(ModelLoadError, match=r"generation_config\.json: top_k 'many', expected a"):
        said(folder)


@pytest.mark.parametrize(
    ("pooling", "number"),
    [
        ({"pooling_mode_mean_tokens": True}, 1),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, 2),
        ({"pooling_mode_lasttoken": True}, 3),
        ({"pooling_mode": "cls"}, 2),
    ],
)
def test_pooling_is_the_module_s(pooling: dict[str, Any], number: int, changed: Any) -> None:
    folder = changed("bert")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert said(folder)["bert.pooling_type"] == number


@pytest.mark.parametrize("pooling", [{}, {"pooling_mode_max_tokens": True}, {"pooling_mode": [1]}])
def test_another_pooling_is_refused(pooling: dict[str, Any], changed: Any) -> None:
    folder = changed("bert")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ModelLoadError, match=r"1_Pooling/config\.json: found .*, expected one of"):
        said(folder)


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        (
            [{"type": "sentence_transformers.models.Dense"}],
            "module 'sentence_",
        ),
        ([{"path": ""}], "module None"),
        ([3], "module 3"),
        ({}, "found dict, expected a list"),
    ],
)
def test_another_module_is_refused(modules: Any, found: str, changed: Any) -> None:
    folder = changed("bert")
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelLoadError, match=rf"modules\.json: {found}"):
        said(folder)


def test_vectors_of_length_1_are_what_embed_makes(changed: Any) -> None:
    folder = changed("bert")
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert said(folder)["bert.pooling_type"] == 1


def test_labels_stand_by_number(changed: Any) -> None:
    labels = {str(i): f"grade {i}" for i in (10, 2, 1)}
    found = said(changed("bert-rank", id2label=labels))
    assert found["bert.classifier.output_labels"] == ["grade 1", "grade 2", "grade 10"]


def test_labels_without_numbers_are_refused(changed: Any) -> None:
    with pytest.raises(ModelLoadError, match="id2label 'one', expected a number"):
        said(changed("bert-rank", id2label={"one": "x"}))
