"""Recurrent architectures: rewinding, forks and neighbours give the bytes of a fresh run.

test_archs.py compares all fixtures with llama.cpp and feeds them in pieces; golden/recurrent holds
more goldens, made by its own script: indexers that must choose, and a compressed row of 128 tokens.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gnomon.engine.errors import LMStudioValueError, ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((GOLDEN / "recurrent" / "cases.json").read_text())
MODES = ("float64", "float32")
LARGEST_NMSE = 1e-9
NAMES = (
    "mamba-dense",
    "mamba2-dense",
    "jamba-dense",
    "falcon-h1-dense",
    "plamo2-dense",
    "granitehybrid-dense",
    "lfm2-dense",
    "lfm2moe-moe",
    "nemotron_h-dense",
    "nemotron_h_moe-dense",
    "minimax-01-moe",
    "qwen3next-moe",
    "qwen35-dense",
    "qwen35moe-moe",
    "qwen4exp-moe",
    "kimi-linear-moe",
    "kimi-k3-moe",
    "bailingmoe3-moe",
    "glm5-next-moe",
    "deepseek4-moe",
)
Open = Callable[..., Model]


def load_fixture_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "archs_fixture_recurrent", GOLDEN / "archs" / "fixture.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIXTURE = load_fixture_writer()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """`opened(fixture, mode, kv=...)`: its model, metadata changed; the last few stay open."""
    folder, models = (
        tmp_path_factory.mktemp("recurrent"),
        OrderedDict[tuple[str, str, str], Model](),
    )

    def open_model(name: str, mode: Any, kv: dict[str, Any] | None = None) -> Model:
        key = (name, mode, json.dumps(kv or {}))
        if key not in models:
            spec = json.loads((GOLDEN / "archs" / f"{name}.json").read_text())
            spec["kv"] |= kv or {}
            path = folder / f"{name}.gguf"
            FIXTURE.write(spec, str(path))
            models[key] = Model.open(path, LoadConfig(compute=mode))
        models.move_to_end(key)
        while len(models) > 3:
            models.popitem(last=False)[1].close()
        return models[key]

    yield open_model
    for model in models.values():
        model.close()


def tokens_of(name: str) -> list[int]:
    return np.load(GOLDEN / "archs" / f"{name}.npz")["tokens"].tolist()


def fresh(model: Model, tokens: list[int]) -> np.ndarray:
    with model.session() as session:
        return session.feed(tokens, logits="all")


def rewound(model: Model, tokens: list[int], position: int) -> np.ndarray:
    """Rows from `position` on, fed again after 30 tokens in pieces of 5."""
    with model.session() as session:
        for start in range(0, 30, 5):
            session.feed(tokens[start : start + 5], logits="none")
        session.rewind(position)
        assert session.tokens == tokens[:position]
        return session.feed(tokens[position:], logits="all")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_after_rewinding_into_a_step_the_bytes_are_those_of_a_fresh_run(
    opened: Open, name: str, mode: str
) -> None:
    model, tokens = opened(name, mode), tokens_of(name)[:30]
    assert np.array_equal(rewound(model, tokens, 18), fresh(model, tokens)[18:])


@pytest.mark.parametrize("position", [0, 1, 20, 29])
def test_any_position_can_be_rewound_to(opened: Open, position: int) -> None:
    model, tokens = opened("falcon-h1-dense", "float32"), tokens_of("falcon-h1-dense")[:30]
    assert np.array_equal(rewound(model, tokens, position), fresh(model, tokens)[position:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_fork_and_its_origin_go_on_alone(opened: Open, name: str, mode: str) -> None:
    model, tokens = opened(name, mode), tokens_of(name)[:24]
    other = tokens[:9] + tokens[:15]
    with model.session() as session:
        session.feed(tokens[:9], logits="none")
        with session.fork() as twin:
            theirs = twin.feed(other[9:], logits="all")
            ours = session.feed(tokens[9:], logits="all")
    assert np.array_equal(ours, fresh(model, tokens)[9:])
    assert np.array_equal(theirs, fresh(model, other)[9:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_neighbour_in_the_step_changes_no_byte(opened: Open, name: str, mode: str) -> None:
    model, tokens = opened(name, mode), tokens_of(name)
    first, second = model.sequence(64), model.sequence(64)
    model.step([(first, tokens[:3])], np.array([], np.int64))
    both = model.step([(first, tokens[3:9]), (second, tokens[4:9])], np.arange(11))
    for sequence in (first, second):
        sequence.release()
    assert np.array_equal(both[:6], fresh(model, tokens[:9])[3:])
    assert np.array_equal(both[6:], fresh(model, tokens[4:9]))


@pytest.mark.parametrize("name", NAMES)
def test_pieces_give_the_same_bytes_in_int8(opened: Open, name: str) -> None:
    model, tokens = opened(name, "int8"), tokens_of(name)[:24]
    with model.session() as session:
        pieces = [session.feed(tokens[i : i + 5], logits="all") for i in range(0, 24, 5)]
    assert np.array_equal(np.concatenate(pieces), fresh(model, tokens))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_chosen_and_compressed_keys_agree_with_the_golden(
    opened: Open, case: str, mode: str
) -> None:
    golden = np.load(GOLDEN / "recurrent" / f"{case}.npz")
    model = opened(CASES[case]["fixture"], mode, CASES[case]["kv"])
    found = fresh(model, golden["tokens"].tolist())[golden["rows"]]
    exact = golden["logits"].astype(np.float64)
    nmse = ((found - exact) ** 2).sum() / (exact**2).sum()
    assert nmse <= LARGEST_NMSE, f"{case}, {mode}: NMSE {nmse:.2e}"


def test_pieces_give_the_same_bytes_where_keys_are_chosen(opened: Open) -> None:
    for case in ("glm5-next-top8", "qwen4exp-top8", "deepseek4-top8"):
        name, kv = CASES[case]["fixture"], CASES[case]["kv"]
        model, tokens = opened(name, "float32", kv), tokens_of(name)
        with model.session() as session:
            pieces = [session.feed(tokens[i : i + 7], logits="all") for i in range(0, 48, 7)]
        assert np.array_equal(np.concatenate(pieces), fresh(model, tokens)), case


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("mamba-dense", "ssm.state_size", 4_000_000_000),
        ("mamba-dense", "ssm.conv_kernel", 0),
        ("mamba2-dense", "ssm.time_step_rank", 3),
        ("mamba2-dense", "ssm.group_count", 0),
        ("lfm2-dense", "shortconv.l_cache", 1),
        ("qwen35-dense", "ssm.state_size", 64),
        ("kimi-linear-moe", "kda.head_dim", 0),
        ("kimi-k3-moe", "attn_res.block_size", 0),
        ("glm5-next-moe", "hyper_connection.count", 0),
        ("glm5-next-moe", "attention.indexer.kpool", 1),
        ("deepseek4-moe", "attention.output_group_count", 3),
        ("qwen4exp-moe", "ple.ngram_size", 1),
    ],
)
def test_a_number_out_of_range_is_named(tmp_path: Path, name: str, key: str, value: int) -> None:
    spec = json.loads((GOLDEN / "archs" / f"{name}.json").read_text())
    full = f"{spec['kv']['general.architecture'][1]}.{key}"
    spec["kv"][full] = ["UINT32", value]
    path = tmp_path / "broken.gguf"
    FIXTURE.write(spec, str(path))
    with pytest.raises(ModelLoadError, match=re.escape(full)):
        Model.open(path, LoadConfig(compute="float64"))


def test_a_size_that_its_tensors_contradict_names_them(tmp_path: Path) -> None:
    spec = json.loads((GOLDEN / "archs" / "mamba2-dense.json").read_text())
    spec["kv"]["mamba2.ssm.state_size"] = ["UINT32", 64]
    path = tmp_path / "broken.gguf"
    FIXTURE.write(spec, str(path))
    with pytest.raises(ModelLoadError) as error:
        Model.open(path, LoadConfig(compute="float64"))
    assert "blk.0.ssm_in.weight has shape (1538, 256), expected (1282, 256)" in str(error.value)
    assert "blk.1.ssm_conv1d.weight" in str(error.value)


def test_rewinding_beyond_the_position_is_an_error(opened: Open) -> None:
    with opened("mamba-dense", "float32").session() as session:
        session.feed([1, 2, 3], logits="none")
        with pytest.raises(LMStudioValueError, match="found 4, expected 0 to 3"):
            session.rewind(4)


def test_a_step_that_fails_counts_nothing(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = opened("falcon-h1-dense", "float32"), tokens_of("falcon-h1-dense")[:12]
    run = model._run

    def run_and_fail(*arguments: Any) -> None:
        run(*arguments)
        raise KeyboardInterrupt

    with model.session() as session:
        session.feed(tokens[:5], logits="none")
        monkeypatch.setattr(model, "_run", run_and_fail)
        with pytest.raises(KeyboardInterrupt):
            session.feed(tokens[5:9])
        monkeypatch.undo()
        rest = session.feed(tokens[5:], logits="all")
    assert np.array_equal(rest, fresh(model, tokens)[5:])


def test_states_are_given_back_with_the_session(opened: Open) -> None:
    model = opened("mamba-dense", "float32")
    with model.session() as session:
        for token in range(40):
            session.feed([token], logits="none")
        session.fork().close()
    assert model._states.in_use == 0
