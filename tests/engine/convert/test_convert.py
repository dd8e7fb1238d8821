"""The converter against llama.cpp's on the same checkpoints (golden/convert/converted.json), and
against transformers' logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.convert import FILE_TYPES, convert
from gnomon.engine.errors import LMStudioValueError, ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.rank import rank
from gnomon.formats.gguf import open_gguf

NAMES = [
    *("bert", "llama", "llama3", "llama2", "qwen2", "qwen3"),
    *("gemma", "gemma2", "gemma3", "gemma3-images"),
]
DECODERS = [name for name in NAMES if name not in ("bert", "gemma3-images")]
KINDS = ["f32", "f16", "bf16", "q8_0"]
FEW_BITS = ["q4_0", "q4_1", "q5_0", "q5_1"]
# Angles are float32 in transformers, also where the rest is float64.
NMSE = 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_tensors_are_llama_cpp_s(
    name: str, kind: str, converted: Any, tensors: Any, convert_golden: Any
) -> None:
    with open_gguf(converted(name, kind)) as file:
        assert tensors(file) == convert_golden("converted.json")[name][kind]["tensors"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_metadata_is_llama_cpp_s(
    name: str, kind: str, converted: Any, metadata: Any, convert_golden: Any
) -> None:
    with open_gguf(converted(name, kind)) as file:
        assert metadata(file) == convert_golden("converted.json")[name][kind]["metadata"]


def test_minilm_s_tensors_and_metadata_are_llama_cpp_s(
    minilm_path: Path, tensors: Any, metadata: Any, convert_golden: Any
) -> None:
    golden = convert_golden("converted.json")["all-MiniLM-L6-v2"]["f32"]
    with open_gguf(minilm_path) as file:
        assert (tensors(file), metadata(file)) == (golden["tensors"], golden["metadata"])


@pytest.mark.parametrize("kind", [*FEW_BITS, "q8_0"])
def test_blocks_are_those_of_llama_quantize(
    kind: str, converted: Any, tensors: Any, convert_golden: Any
) -> None:
    with open_gguf(converted("llama", kind)) as file:
        assert sorted(tensors(file)) == sorted(convert_golden("quantized.json")["file"][kind])


@pytest.mark.parametrize("name", DECODERS)
def test_logits_are_those_of_transformers(name: str, converted: Any, convert_golden: Any) -> None:
    golden = convert_golden("logits.npz")
    model = Model.open(converted(name, "f32"), LoadConfig(compute="float64"))
    rows = model.session().feed(golden["tokens"].tolist(), logits="all")[golden["rows"]]
    assert np.sum((rows - golden[name]) ** 2) < NMSE * np.sum(golden[name] ** 2)


def test_a_reranker_s_score_is_that_of_transformers(converted: Any, convert_golden: Any) -> None:
    model = Model.open(converted("bert-rank", "f32"), LoadConfig(compute="float64"))
    (score,) = rank(model, "a b", ["c"])
    assert score == pytest.approx(float(convert_golden("logits.npz")["bert-rank"][0, 0]), rel=1e-7)


@pytest.mark.parametrize("kind", FILE_TYPES)
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_every_type_loads(name: str, kind: str, converted: Any) -> None:
    model = Model.open(converted(name, kind), LoadConfig(compute="float32"))
    assert model.file.tensors["blk.0.attn_q.weight"].type.name == kind


def test_a_converted_chat_template_renders(converted: Any) -> None:
    model = Model.open(converted("llama3", "f32"), LoadConfig())
    rendered = model.chat_template.render([{"role": "user", "content": "the"}])
    assert rendered.text == "<s>user: the</s>\n"


def test_progress_ends_at_one(folder: Any, tmp_path: Path) -> None:
    shares: list[float] = []
    convert(folder("bert"), tmp_path / "m.gguf", "f16", report=shares.append)
    assert (shares[-1], shares == sorted(shares), len(shares)) == (1.0, True, 37)


def test_the_same_checkpoint_gives_the_same_bytes(
    folder: Any, converted: Any, tmp_path: Path
) -> None:
    convert(folder("qwen3"), tmp_path / "m.gguf", "q8_0")
    assert (tmp_path / "m.gguf").read_bytes() == converted("qwen3", "q8_0").read_bytes()


def test_an_unknown_type_is_refused(folder: Any, tmp_path: Path) -> None:
    with pytest.raises(LMStudioValueError, match="file type 'q3_k', expected one of f32, f16"):
        convert(folder("bert"), tmp_path / "m.gguf", "q3_k")


def test_a_checkpoint_that_is_refused_leaves_no_file(changed: Any, tmp_path: Path) -> None:
    folder = changed("llama", architectures=["MambaForCausalLM"])
    with pytest.raises(ModelLoadError, match="architecture 'MambaForCausalLM', expected one of"):
        convert(folder, tmp_path / "m.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_failure_half_way_leaves_the_old_file(
    changed: Any, checkpoint: Any, tmp_path: Path
) -> None:
    folder = changed("llama")
    values = {n: checkpoint.weights(n, s) for n, s in checkpoint.shapes("llama")}
    values["model.layers.1.mlp.down_proj.weight"][0, 0] = 1e5
    checkpoint.save_tensors(folder / "model.safetensors", values)
    (tmp_path / "m.gguf").write_bytes(b"old")
    with pytest.raises(ModelLoadError, match=r"blk\.1\.ffn_down\.weight: numbers up to 100000"):
        convert(folder, tmp_path / "m.gguf", "f16")
    assert (tmp_path / "m.gguf").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "m.gguf"]


def test_a_broken_tokenizer_is_a_load_error(changed: Any, tmp_path: Path) -> None:
    folder = changed("llama")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": [1]}}))
    with pytest.raises(ModelLoadError, match="in cannot be converted: tokenizer files: not as"):
        convert(folder, tmp_path / "m.gguf")
