"""Every architecture fixture against llama.cpp's float32 logits, and what holds for all specs.

tests/golden/archs holds a JSON spec and an .npz (tokens, rows, logits) per fixture; fixture.py
writes the GGUF file of a spec. Both were made by fixture.py's own recipe and by llama.cpp
(llama-cpp-python 0.3.36).
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gnomon.engine import archs
from gnomon.engine.arch import Arch
from gnomon.engine.archs import ARCHS, SPECS
from gnomon.engine.archs.__main__ import page
from gnomon.engine.errors import ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "archs"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
ENGINE = ROOT / "engine"
MODES = ("float64", "float32")
LARGEST_NMSE = 1e-9
KEEP_OPEN = 4


def load_fixture_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("archs_fixture", GOLDEN / "fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIXTURE = load_fixture_writer()


def read_spec(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


WHOLE = ("dream-dense", "llada-dense", "llada-moe-moe", "rnd1-moe")
CAUSAL = [name for name in NAMES if name not in WHOLE]


class Opened:
    """Fixtures' files, written once, and the models opened last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models: OrderedDict[tuple[str, str, int], Model] = OrderedDict()

    def file(self, name: str) -> Path:
        path = self.folder / f"{name}.gguf"
        if not path.exists():
            FIXTURE.write(read_spec(name), str(path))
        return path

    def model(self, name: str, mode: Any, threads: int = 2) -> Model:
        key = (name, mode, threads)
        if key not in self._models:
            config = LoadConfig(compute=mode, cpu_threads=threads)
            self._models[key] = Model.open(self.file(name), config)
        self._models.move_to_end(key)
        while len(self._models) > KEEP_OPEN:
            self._models.popitem(last=False)[1].close()
        return self._models[key]

    def close(self) -> None:
        for model in self._models.values():
            model.close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    models = Opened(tmp_path_factory.mktemp("archs"))
    yield models
    models.close()


def tokens_of(name: str) -> list[int]:
    return np.load(GOLDEN / f"{name}.npz")["tokens"].tolist()


def fed(model: Model, tokens: list[int], size: int) -> bytes:
    with model.session() as session:
        starts = range(0, len(tokens), size)
        parts = [session.feed(tokens[i : i + size], logits="all") for i in starts]
    return np.concatenate(parts).tobytes()


# --- each fixture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_logits_agree_with_the_golden(opened: Opened, name: str, mode: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    with opened.model(name, mode).session() as session:
        found = session.feed(golden["tokens"].tolist(), logits="all")[golden["rows"]]
    exact = golden["logits"].astype(np.float64)
    nmse = ((found - exact) ** 2).sum() / (exact**2).sum()
    assert nmse <= LARGEST_NMSE, f"{name}, {mode}: NMSE {nmse:.2e}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CAUSAL)
def test_pieces_give_the_same_bytes(opened: Opened, name: str, mode: str) -> None:
    model, tokens = opened.model(name, mode), tokens_of(name)
    whole = fed(model, tokens, len(tokens))
    assert fed(model, tokens, 5) == whole, "pieces of 5"
    assert fed(model, tokens, 1) == whole, "token by token"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WHOLE)
def test_feeding_more_computes_the_whole_sequence(opened: Opened, name: str, mode: str) -> None:
    model, tokens = opened.model(name, mode), tokens_of(name)
    with model.session() as session:
        whole = session.feed(tokens, logits="all")
    with model.session() as session:
        session.feed(tokens[:20], logits="none")
        rest = session.feed(tokens[20:], logits="all")
    assert rest.tobytes() == whole[20:].tobytes()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WHOLE)
def test_another_sequence_beside_changes_no_bytes(opened: Opened, name: str, mode: str) -> None:
    model, tokens = opened.model(name, mode), tokens_of(name)
    alone = fed(model, tokens, len(tokens))
    pieces = [(model.sequence(64), tokens[:7]), (model.sequence(64), tokens)]
    both = model.step(pieces, np.arange(7, 7 + len(tokens)))
    for sequence, _ in pieces:
        sequence.release()
    assert both.tobytes() == alone


@pytest.mark.parametrize("name", WHOLE)
def test_threads_change_no_bytes(opened: Opened, name: str) -> None:
    tokens = tokens_of(name)
    one, two = (fed(opened.model(name, "float32", n), tokens, len(tokens)) for n in (1, 2))
    assert one == two


# --- all specs ------------------------------------------------------------------------------------

ALL = [arch for same in SPECS.values() for arch in same]


@pytest.mark.parametrize("name", [field.name for field in fields(Arch) if field.name != "name"])
def test_every_field_is_set_by_some_spec(name: str) -> None:
    default = getattr(Arch("default"), name)
    assert any(getattr(arch, name) != default for arch in ALL)


TWINS = (
    ("internlm2", "xverse"),
    ("llama", "deci"),
    ("starcoder2", "codeshell"),
    ("nemotron", "jais2"),
    ("gpt2", "starcoder"),
    ("hunyuan-dense", "hunyuan_vl"),
    ("ernie4_5", "ernie4_5-moe"),
    ("qwen3", "qwen3vl"),
    ("qwen3vl", "qwen3tts"),
    ("qwen3moe", "qwen3vlmoe"),
    ("nemotron_h", "nemotron_h_moe"),
)


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_architectures_that_differ_by_name_have_specs_that_do(one: str, other: str) -> None:
    assert replace(ARCHS[one], name=other) == ARCHS[other]


def test_no_architecture_is_named_outside_its_folder() -> None:
    # Words that are also architectures' names say something else in the engine.
    common = {"llama", "gemma", "qwen", "mamba", "mamba2"}
    quoted = re.compile("|".join(f"[\"'.]{re.escape(name)}[\"'.]" for name in set(ARCHS) - common))
    sources = [p for p in ENGINE.glob("*.py")] + [p for p in (ENGINE / "blocks").glob("*.py")]
    found = [(path.name, quoted.findall(path.read_text())) for path in sources]
    assert [item for item in found if item[1]] == []


def test_the_forward_pass_stays_short() -> None:
    assert len((ENGINE / "forward.py").read_text().splitlines()) < 250


def bases_in(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """What each spec of a file is made from by `replace`, as (file, name)."""
    tree = ast.parse(path.read_text())
    home = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }
    bases = {}
    module = importlib.import_module(f"gnomon.engine.archs.{path.stem}")
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("replace("):
            assert isinstance(node.value, ast.Call)
            name, base = ast.unparse(node.targets[0]), ast.unparse(node.value.args[0])
            if isinstance(getattr(module, name), Arch):
                bases[path.stem, name] = home.get(base, path.stem), base
    return bases


def test_specs_build_on_another_at_most_two_steps_deep() -> None:
    bases: dict[Any, Any] = {}
    for path in (ENGINE / "archs").glob("*.py"):
        bases |= bases_in(path)
    assert bases["qwen", "QWEN3VL"] == ("qwen", "QWEN3")
    assert [spec for spec, base in bases.items() if bases.get(base) in bases] == []


def test_the_page_of_architectures_is_current() -> None:
    """Remade by `python -m gnomon.engine.archs docs/architectures.md`."""
    assert (ROOT / "docs" / "architectures.md").read_text() == page()


def test_every_architecture_of_the_fixtures_has_a_spec() -> None:
    wanted = {read_spec(name)["kv"]["general.architecture"][1] for name in NAMES}
    assert wanted <= set(archs.ARCHS)


# --- files that cannot be trusted -----------------------------------------------------------------


def broken(folder: Path, name: str = "llama-dense", **changes: Any) -> Path:
    """A fixture's file with metadata changed (None: left out), and tensors by `tensors`."""
    spec = read_spec(name)
    tensors = changes.pop("tensors", {})
    prefix = spec["kv"]["general.architecture"][1]
    for key, value in changes.items():
        full = f"{prefix}.{key.replace('__', '.')}"
        spec["kv"].pop(full, None)
        if value is not None:
            spec["kv"][full] = value
    spec["tensors"] = [
        [t[0], tensors.get(t[0], t[1]), t[2]] for t in spec["tensors"] if tensors.get(t[0], True)
    ]
    path = folder / "broken.gguf"
    FIXTURE.write(spec, str(path))
    return path


def error_of(path: Path) -> str:
    with pytest.raises(ModelLoadError) as error:
        Model.open(path, LoadConfig(compute="float64"))
    return str(error.value)


def test_missing_and_misshaped_tensors_are_listed_at_once(tmp_path: Path) -> None:
    tensors = {
        "blk.0.attn_q.weight": None,
        "blk.1.ffn_up.weight": [256, 380],
        "output_norm.weight": None,
    }
    text = error_of(broken(tmp_path, tensors=tensors))
    assert "blk.0.attn_q.weight is missing" in text
    assert "blk.1.ffn_up.weight has shape (380, 256), expected (384, 256)" in text
    assert "output_norm.weight is missing" in text


def test_wrong_numbers_are_listed_at_once(tmp_path: Path) -> None:
    path = broken(
        tmp_path,
        block_count=None,
        embedding_length=["UINT32", 0],
        rope__freq_base=["FLOAT32", -1.0],
        attention__layer_norm_rms_epsilon=None,
    )
    text = error_of(path)
    for key in ("block_count", "embedding_length", "freq_base", "layer_norm_rms_epsilon"):
        assert f"llama.{key}" in text or f"llama.rope.{key}" in text or f".{key}" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", ["UINT32", 0]),
        ("block_count", ["UINT32", 4_000_000_000]),
        ("embedding_length", ["UINT32", 4_000_000_000]),
        ("attention__head_count", ["UINT32", 0]),
        ("attention__head_count_kv", ["UINT32", 3]),
        ("attention__key_length", ["UINT32", 0]),
        ("rope__dimension_count", ["UINT32", 127]),
        ("rope__dimension_count", ["UINT32", 4096]),
        ("rope__freq_base", ["FLOAT32", 0.0]),
        ("rope__scaling__type", ["STRING", "spiral"]),
        ("rope__scaling__factor", ["FLOAT32", -2.0]),
        ("attention__layer_norm_rms_epsilon", ["FLOAT32", -1.0]),
        ("feed_forward_length", ["UINT32", 4_000_000_000]),
        ("context_length", ["UINT32", 0]),
        ("expert_count", ["UINT32", 4_000_000_000]),
    ],
)
def test_a_number_out_of_range_is_named(tmp_path: Path, key: str, value: list[Any]) -> None:
    assert f"llama.{key.replace('__', '.')}" in error_of(broken(tmp_path, **{key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expert_used_count", ["UINT32", 0]),
        ("expert_used_count", ["UINT32", 3]),
        ("expert_gating_func", ["UINT32", 9]),
        ("expert_group_count", ["UINT32", 7]),
    ],
)
def test_experts_that_contradict_each_other_are_named(
    tmp_path: Path, key: str, value: list[Any]
) -> None:
    path = broken(tmp_path, "qwen3moe-moe", **{key: value})
    assert f"qwen3moe.{key}" in error_of(path)


@pytest.mark.parametrize("name", ["decay", "iclr", "value_residual_mix"])
def test_a_rank_of_zero_is_named(tmp_path: Path, name: str) -> None:
    key = f"attention.{name}_lora_rank"
    path = broken(tmp_path, "rwkv7-dense", **{key: ["UINT32", 0]})
    assert f"rwkv7.{key}: found 0" in error_of(path)


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_half_a_norm_of_heads_is_named_by_what_it_lacks(tmp_path: Path, part: str) -> None:
    lacking = f"blk.1.time_mix_ln.{part}"
    text = error_of(broken(tmp_path, "rwkv7-dense", tensors={lacking: None}))
    assert f"{lacking} is missing" in text


def test_a_first_layer_without_a_choice_of_keys_is_named(tmp_path: Path) -> None:
    path = broken(tmp_path, "deepseek32-moe", attention__indexer__types=["UINT32", 0])
    assert "deepseek32.attention.indexer.types: found a first layer" in error_of(path)


@pytest.mark.parametrize("key", ["rope__scaling__type", "block_count"])
def test_an_error_is_no_longer_than_a_screen(tmp_path: Path, key: str) -> None:
    values = {"rope__scaling__type": ["STRING", "x" * 10000], "block_count": ["UINT32", 2048]}
    assert len(error_of(broken(tmp_path, **{key: values[key]}))) < 4000


def test_contradicting_sizes_name_the_tensors(tmp_path: Path) -> None:
    text = error_of(broken(tmp_path, attention__head_count=["UINT32", 4]))
    assert "blk.0.attn_q.weight has shape (256, 256), expected (512, 256)" in text
    assert "blk.1.attn_output.weight" in text


def test_an_unknown_architecture_is_named_with_the_known_ones(tmp_path: Path) -> None:
    spec = read_spec("llama-dense")
    spec["kv"]["general.architecture"] = ["STRING", "llamb"]
    path = tmp_path / "unknown.gguf"
    FIXTURE.write(spec, str(path))
    text = error_of(path)
    assert "llamb" in text
    assert "qwen3" in text
