"""The converter against llama.cpp's on the same checkpoints (golden/convert/converted.json)."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.convert import FILE_TYPES, convert
from gnomon.engine.errors import LMStudioValueError, ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.formats.gguf import GGUFFile, open_gguf

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/convert/converted.json").read_text())
TINY = [name for name in GOLDEN if name != "all-minilm-l6-v2"]


@pytest.fixture(scope="module")
def folder(checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    @functools.cache
    def write(family: str) -> Path:
        path = tmp_path_factory.mktemp("checkpoint") / family
        checkpoint.write(path, family)
        return Path(path)

    return write


@pytest.fixture(scope="module")
def converted(folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    @functools.cache
    def make(family: str, file_type: str) -> Path:
        target = tmp_path_factory.mktemp("gguf") / f"{family}.gguf"
        convert(folder(family), target, file_type)
        return Path(target)

    return make


def tensors(file: GGUFFile) -> dict[str, Any]:
    return {
        name: [t.type.name.upper(), list(t.shape), hashlib.sha256(t.data.tobytes()).hexdigest()]
        for name, t in file.tensors.items()
    }


def metadata(file: GGUFFile) -> dict[str, Any]:
    found = {}
    for key, value in file.metadata.items():
        if key.startswith("general."):
            continue
        many = value.tolist() if isinstance(value, np.ndarray) else value
        digest = hashlib.sha256(json.dumps(many).encode()).hexdigest()
        found[key] = digest if isinstance(many, list) else many
    return found


@pytest.mark.parametrize(
    ("family", "file_type"), [(name, kind) for name in TINY for kind in GOLDEN[name]]
)
def test_tensors_are_llama_cpp_s(family: str, file_type: str, converted: Any) -> None:
    with open_gguf(converted(family, file_type)) as file:
        assert tensors(file) == GOLDEN[family][file_type]["tensors"]


@pytest.mark.parametrize("file_type", GOLDEN["bert"])
def test_metadata_is_llama_cpp_s(file_type: str, converted: Any) -> None:
    with open_gguf(converted("bert", file_type)) as file:
        assert metadata(file) == GOLDEN["bert"][file_type]["metadata"]


def test_minilm_s_tensors_and_metadata_are_llama_cpp_s(minilm_path: Path) -> None:
    golden = GOLDEN["all-minilm-l6-v2"]["f32"]
    with open_gguf(minilm_path) as file:
        assert (tensors(file), metadata(file)) == (golden["tensors"], golden["metadata"])


@pytest.mark.parametrize("file_type", FILE_TYPES)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_every_type_loads(family: str, file_type: str, converted: Any) -> None:
    model = Model.open(converted(family, file_type), LoadConfig(compute="float32"))
    assert model.file.tensors["blk.0.attn_q.weight"].type.name == file_type


@pytest.mark.parametrize("file_type", ["q4_0", "q4_1", "q5_0", "q5_1"])
def test_the_matrix_of_the_logits_has_8_bits(file_type: str, converted: Any) -> None:
    with open_gguf(converted("llama", file_type)) as file:
        assert file.tensors["output.weight"].type.name == "q8_0"


def test_progress_ends_at_one(folder: Any, tmp_path: Path) -> None:
    shares: list[float] = []
    convert(folder("bert"), tmp_path / "m.gguf", "f16", report=shares.append)
    assert (shares[-1], shares == sorted(shares), len(shares)) == (1.0, True, 37)


def test_the_same_checkpoint_gives_the_same_bytes(
    folder: Any, converted: Any, tmp_path: Path
) -> None:
    convert(folder("bert"), tmp_path / "m.gguf", "q8_0")
    assert (tmp_path / "m.gguf").read_bytes() == converted("bert", "q8_0").read_bytes()


def test_an_unknown_type_is_refused(folder: Any, tmp_path: Path) -> None:
    with pytest.raises(LMStudioValueError, match="file type 'q3_k', expected one of f32, f16"):
        convert(folder("bert"), tmp_path / "m.gguf", "q3_k")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architectures": ["MambaForCausalLM"]},
            "architecture 'MambaForCausalLM', expected one of",
        ),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rotary scaling"),
    ],
)
def test_what_is_not_known_is_refused_and_leaves_no_file(
    change: dict[str, Any], message: str, checkpoint: Any, tmp_path: Path
) -> None:
    checkpoint.write(tmp_path / "in", "llama")
    path = tmp_path / "in" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelLoadError, match=message):
        convert(tmp_path / "in", tmp_path / "m.gguf")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_tensor_the_family_lacks_is_named(checkpoint: Any, tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "in", "bert")
    more = {"encoder.layer.0.extra.weight": np.zeros((2, 2), np.float32)}
    checkpoint.save_tensors(tmp_path / "in" / "model.safetensors", more)
    with pytest.raises(ModelLoadError, match=r"does not have: encoder\.layer\.0\.extra\.weight"):
        convert(tmp_path / "in", tmp_path / "m.gguf")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"config\.json cannot be read"):
        convert(tmp_path / "nothing", tmp_path / "m.gguf")
