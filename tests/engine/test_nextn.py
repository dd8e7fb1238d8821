"""Layers that draft ahead: their logits by llama.cpp, the rows they read, and files without them.

tests/golden/nextn holds a spec and llama.cpp's logits of each fixture; make_nextn.py remakes both.
"""

from __future__ import annotations

import importlib.util
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gnomon.engine.errors import ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

ROOT = Path(__file__).parents[2]
ARCHS, GOLDEN = ROOT / "tests" / "golden" / "archs", ROOT / "tests" / "golden" / "nextn"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
KNOWN = 40
LARGEST_NMSE = 1e-9
KEEP_OPEN = 4


def load_fixture_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fixture_for_nextn", ARCHS / "fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIXTURE = load_fixture_writer()
Open = Callable[..., Model]


def spec_of(name: str, folder: Path = GOLDEN) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """`opened(name, compute)`: a fixture's model; the last few stay open."""
    folder, models = tmp_path_factory.mktemp("nextn"), OrderedDict[tuple[str, str], Model]()

    def open_model(name: str, compute: Any) -> Model:
        path = folder / f"{name}.gguf"
        if not path.exists():
            FIXTURE.write(spec_of(name), str(path))
        if (name, compute) not in models:
            models[name, compute] = Model.open(path, LoadConfig(compute=compute))
        models.move_to_end((name, compute))
        if len(models) > KEEP_OPEN:
            models.popitem(last=False)[1].close()
        return models[name, compute]

    yield open_model
    for model in models.values():
        model.close()


def nmse(found: Any, golden: Any) -> float:
    exact = golden.astype(np.float64)
    return float(((np.asarray(found, np.float64) - exact) ** 2).sum() / (exact**2).sum())


def rows_of(model: Model, tokens: list[int], size: int) -> Any:
    """The model's rows of all tokens, fed in pieces, behind the row before the first."""
    sequence = model.sequence(64)
    none = np.empty(0, np.int64)
    parts = [
        model.step_with_rows([(sequence, tokens[i : i + size])], none)[1]
        for i in range(0, len(tokens), size)
    ]
    sequence.release()
    assert model.nextn is not None
    return np.concatenate([model.nextn.before_first(), *parts])


# --- llama.cpp's numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("compute", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_each_layer_s_logits_agree_with_the_golden(opened: Open, name: str, compute: str) -> None:
    model, golden = opened(name, compute), np.load(GOLDEN / f"{name}.npz")
    tokens, layers = golden["tokens"].tolist()[:KNOWN], model.nextn
    assert layers is not None
    assert layers.count == len(golden["logits"])
    rows = rows_of(model, tokens, KNOWN)
    for layer in range(layers.count):
        sequence, found = layers.sequence(64), []
        for i, token in enumerate(tokens):
            logits, _ = layers.run(layer, sequence, [token], rows[i : i + 1], True) or (None, None)
            sequence.commit(1)
            found.append(logits)
        sequence.release()
        error = nmse(np.stack(found)[golden["rows"]], golden["logits"][layer])
        assert error <= LARGEST_NMSE, f"layer {layer}: NMSE {error:.2e}"


@pytest.mark.parametrize("compute", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_drafted_logits_agree_with_the_golden(opened: Open, name: str, compute: str) -> None:
    model, golden = opened(name, compute), np.load(GOLDEN / f"{name}.npz")
    tokens, found = golden["tokens"].tolist(), []
    with model.session() as session:
        session.feed(tokens[:KNOWN], logits="none")
        with session.nextn.ahead() as ahead:
            token = tokens[KNOWN]
            for _ in golden["draft"]:
                found.append(ahead.feed(token))
                token = int(found[-1].argmax())
    assert nmse(np.stack(found), golden["draft"]) <= LARGEST_NMSE


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_golden_s(name: str) -> None:
    spec = spec_of(name)
    assert FIXTURE.digest(spec) == spec["weights_sha256"]


# --- the model's rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("compute", ["float64", "float32", "int8"])
@pytest.mark.parametrize("name", ["glm4moe-moe", "qwen35-dense", "step35-moe"])
def test_pieces_give_the_same_rows(opened: Open, name: str, compute: str) -> None:
    model = opened(name, compute)
    tokens = np.load(GOLDEN / f"{name}.npz")["tokens"].tolist()
    whole = rows_of(model, tokens, len(tokens)).tobytes()
    assert rows_of(model, tokens, 5).tobytes() == whole
    assert rows_of(model, tokens, 1).tobytes() == whole


@pytest.mark.parametrize("compute", ["float64", "int8"])
@pytest.mark.parametrize("name", ["glm4moe-moe", "step35-moe"])
def test_asking_for_rows_changes_no_logits(opened: Open, name: str, compute: str) -> None:
    model = opened(name, compute)
    tokens, outputs = list(range(3, 20)), np.array([2, 16])
    one, other = model.sequence(64), model.sequence(64)
    logits, rows = model.step_with_rows([(one, tokens)], outputs)
    assert logits is not None
    assert rows.shape == (17, model.hparams.embedding)
    assert np.array_equal(logits, model.step([(other, tokens)], outputs))
    one.release()
    other.release()


def test_the_rows_of_normed_specs_are_what_an_embedding_is_made_from(opened: Open) -> None:
    model, tokens = opened("glm4moe-moe", "float64"), [5, 6, 7]
    sequence = model.sequence(64)
    hidden = model.hidden([(sequence, tokens)])
    sequence.release()
    assert np.array_equal(rows_of(model, tokens, 3)[1:], hidden)


# --- what a file may have -------------------------------------------------------------------------


def written(path: Path, spec: dict[str, Any]) -> Path:
    FIXTURE.write(spec, str(path))
    return path


def opened_with(path: Path, wanted: bool | None) -> Model:
    return Model.open(path, LoadConfig(compute="float64", multi_token_prediction=wanted))


def test_layers_are_loaded_unless_they_are_not_wanted(tmp_path: Path) -> None:
    path = written(tmp_path / "model.gguf", spec_of("glm4moe-moe"))
    for wanted in (None, True, False):
        model = opened_with(path, wanted)
        with model.session() as session:
            assert (model.nextn is None) == (session.nextn is None) == (wanted is False)
            session.feed([1, 2])
        assert any("blk.2" in note for note in model.notes) == (wanted is False)
        model.close()


def test_a_file_without_such_layers_has_none(tmp_path: Path) -> None:
    path = written(tmp_path / "model.gguf", spec_of("glm4moe-moe", ARCHS))
    assert opened_with(path, None).nextn is None
    with pytest.raises(ModelLoadError, match=r"multiTokenPrediction: found no such layers"):
        opened_with(path, True)


def test_layers_that_the_spec_does_not_know_are_left_out(tmp_path: Path) -> None:
    spec = spec_of("llama-dense", ARCHS)
    spec["kv"]["llama.nextn_predict_layers"] = ["UINT32", 1]
    path = written(tmp_path / "model.gguf", spec)
    model = opened_with(path, None)
    assert model.nextn is None
    assert [note for note in model.notes if "those of llama" in note]
    with pytest.raises(ModelLoadError, match="multiTokenPrediction: found those of llama"):
        opened_with(path, True)


@pytest.mark.parametrize("part", ["nextn.eh_proj.weight", "attn_k.weight"])
def test_layers_with_wrong_tensors_are_left_out_or_refused(tmp_path: Path, part: str) -> None:
    spec = spec_of("glm4moe-moe")
    wrong = f"blk.2.{part}"
    spec["tensors"] = [one for one in spec["tensors"] if one[0] != wrong]
    path = written(tmp_path / "model.gguf", spec)
    model = opened_with(path, None)
    assert model.nextn is None
    assert [note for note in model.notes if f"{wrong} is missing" in note]
    with pytest.raises(ModelLoadError, match=f"{wrong} is missing"):
        opened_with(path, True)


def test_a_list_of_layers_that_is_too_short_is_named(tmp_path: Path) -> None:
    spec = spec_of("mimo2-moe")
    spec["kv"]["mimo2.attention.sliding_window_pattern"][2].pop()
    path = written(tmp_path / "model.gguf", spec)
    assert opened_with(path, None).nextn is None
    with pytest.raises(ModelLoadError, match="sliding_window_pattern"):
        opened_with(path, True)
