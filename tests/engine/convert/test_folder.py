"""Folders with something missing or odd: one error that names the thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.engine.convert import convert
from gnomon.engine.convert.folder import INDEX, read_config, read_tensors
from gnomon.engine.errors import ModelLoadError
from gnomon.formats.errors import SafetensorsError


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"nothing/config\.json cannot be read"):
        convert(tmp_path / "nothing", tmp_path / "m.gguf")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": ' + "[" * 100000])
def test_a_configuration_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": None}, "architecture None, expected one of BertModel, "),
        ({"architectures": []}, "architecture None, expected one of"),
        ({"architectures": [["x"]]}, r"architecture \['x'\], expected one of"),
        (
            {"quantization_config": {"bits": 4}},
            "quantization_config .*expected weights that are not",
        ),
        ({"hidden_act": "relu"}, "activation 'relu', expected silu"),
        ({"num_hidden_layers": None}, "num_hidden_layers None, expected a whole number above 0"),
        ({"num_hidden_layers": "2"}, "num_hidden_layers '2', expected a whole number above 0"),
        ({"num_hidden_layers": 1 << 40}, "num_hidden_layers 1099511627776, expected up to 65536"),
        ({"num_attention_heads": 0, "head_dim": None}, "num_attention_heads 0, expected a whole"),
    ],
)
def test_a_configuration_of_another_kind_is_refused(
    change: dict[str, Any], message: str, changed: Any
) -> None:
    with pytest.raises(ModelLoadError, match=f"config.json: {message}"):
        read_config(changed("llama", **change))


def test_sizes_left_unsaid_are_the_family_s(changed: Any) -> None:
    unsaid = dict.fromkeys(("head_dim", "num_key_value_heads", "rms_norm_eps", "rope_theta"))
    _, config = read_config(changed("llama", **unsaid))
    assert [config[key] for key in unsaid] == [16, 4, 1e-6, 10000.0]


def test_an_inner_configuration_counts(folder: Any) -> None:
    _, config = read_config(folder("gemma3-images"))
    assert (config["num_hidden_layers"], config["bos_token_id"]) == (2, 2)


def test_no_tensors_at_all_are_named(changed: Any) -> None:
    folder = changed("llama")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SafetensorsError, match=r"no model\.safetensors, nor parts of it"):
        read_tensors(folder)


def test_parts_need_no_index(changed: Any, folder: Any) -> None:
    parts = changed("llama2")
    (parts / INDEX).unlink()
    assert list(read_tensors(parts)) == list(read_tensors(folder("llama2")))


def test_a_missing_part_is_named(changed: Any, tmp_path: Path) -> None:
    folder = changed("llama2")
    (folder / "model-00002-of-00002.safetensors").unlink()
    message = r"in cannot be converted: model-00002-of-00002\.safetensors, which model.* names,"
    with pytest.raises(ModelLoadError, match=message):
        convert(folder, tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (None, "weight_map NoneType, expected an object"),
        ([], "weight_map list, expected an object"),
        ({"a": 1}, "1, expected a file of the folder"),
        ({"a": "../model.safetensors"}, "'../model.safetensors', expected a file of the folder"),
        ({"a": "model.safetensors"}, r"model\.safetensors: no tensor a, which model.*places there"),
    ],
)
def test_an_index_that_is_wrong_is_refused(places: Any, message: str, changed: Any) -> None:
    folder = changed("llama")
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    with pytest.raises(SafetensorsError, match=message):
        read_tensors(folder)


def test_tensors_stand_in_order_of_their_names(folder: Any) -> None:
    names = list(read_tensors(folder("bert")))
    assert names == sorted(names)
