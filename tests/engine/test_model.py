"""Opening a model: what the caller may override, and what a bad file costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.cache import PagePool
from gnomon.engine.errors import LMStudioServerError, LMStudioValueError, ModelLoadError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.step import StepMemory
from gnomon.formats.errors import GGUFError
from gnomon.formats.gguf import open_gguf
from gnomon.kernels.tiles import kept

IDS = [1, 9690, 198, 2683, 359]


def logits(path: Path, **config: Any) -> Any:
    model = Model.open(path, LoadConfig(context_length=64, **config))
    with model.session() as session:
        return session.feed(IDS)


@pytest.fixture(scope="module")
def decoder_path(encoder_path: Any, archs_golden: Path) -> Path:
    """A small language model."""
    return Path(encoder_path("llama-dense", archs_golden))


@pytest.fixture(scope="module")
def plain(smollm2_path: Path) -> Any:
    return logits(smollm2_path)


def test_the_files_own_rotary_base_changes_nothing(smollm2_path: Path, plain: Any) -> None:
    assert np.array_equal(logits(smollm2_path, rope_frequency_base=100000.0), plain)


def test_another_rotary_base_is_used(smollm2_path: Path, plain: Any) -> None:
    assert not np.array_equal(logits(smollm2_path, rope_frequency_base=10000.0), plain)


def test_a_rotary_scale_of_one_changes_nothing(smollm2_path: Path, plain: Any) -> None:
    assert np.array_equal(logits(smollm2_path, rope_frequency_scale=1.0), plain)


def test_another_rotary_scale_is_used(smollm2_path: Path, plain: Any) -> None:
    assert not np.array_equal(logits(smollm2_path, rope_frequency_scale=0.5), plain)


def test_experts_are_not_asked_of_a_dense_model(smollm2_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="numExperts: found 4, expected a model with experts"):
        Model.open(smollm2_path, LoadConfig(num_experts=4))


def test_a_file_that_is_no_model_is_named_with_its_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 30)
    with pytest.raises(ModelLoadError, match=r"broken\.gguf: version") as caught:
        Model.open(path)
    assert type(caught.value.__cause__).__name__ == "GGUFError"


def test_a_missing_file_is_a_load_error(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"none\.gguf"):
        Model.open(tmp_path / "none.gguf")


def test_grammars_see_every_id_of_the_model(smollm2_path: Path) -> None:
    model = Model.open(smollm2_path, LoadConfig(context_length=64))
    assert model.token_trie.n_vocab == model.n_vocab


def test_a_file_that_changed_after_opening_is_not_packed(
    smollm2_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(smollm2_path.read_bytes())
    file = open_gguf(path)
    with path.open("ab") as more:
        more.write(b"0")
    with pytest.raises(GGUFError, match="as when opened"):
        Model(file, LoadConfig())


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles are kept in a folder of this test's own; kernels stay where they are."""
    monkeypatch.setattr(kept, "cache_root", lambda: tmp_path)


@pytest.mark.parametrize("compute", ["int8", "float32"])
@pytest.mark.usefixtures("own_cache")
def test_kept_tiles_are_loaded_and_change_no_bit(smollm2_path: Path, compute: Any) -> None:
    want = logits(smollm2_path, compute=compute)
    path, size = Model.open(smollm2_path, LoadConfig(compute=compute)).keep_tiles()
    assert path.stat().st_size == size > 90_000_000
    assert held(Model.open(smollm2_path, LoadConfig(compute=compute)))
    assert np.array_equal(logits(smollm2_path, compute=compute), want)


@pytest.mark.usefixtures("own_cache")
def test_kept_tiles_are_not_used_without_try_mmap(smollm2_path: Path) -> None:
    Model.open(smollm2_path).keep_tiles()
    assert not held(Model.open(smollm2_path, LoadConfig(try_mmap=False)))


@pytest.mark.usefixtures("own_cache")
def test_float64_mode_has_no_tiles_to_keep(smollm2_path: Path) -> None:
    with pytest.raises(LMStudioValueError, match='found compute "float64"'):
        Model.open(smollm2_path, LoadConfig(compute="float64")).keep_tiles()


def held(model: Model) -> bool:
    """Whether a model's tiles are views of a file."""
    data = model._ops.packed["blk.0.attn_q.weight"][1]
    return not data.flags.writeable


def too_much(*_: object, **__: object) -> None:
    raise MemoryError("Unable to allocate 7 TiB")


def test_a_load_that_the_memory_does_not_hold_names_its_sizes(
    decoder_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepMemory, "__init__", too_much)
    named = "contextLength 64, evalBatchSize 9: Unable to allocate 7 TiB"
    with pytest.raises(ModelLoadError, match=named):
        Model.open(decoder_path, LoadConfig(context_length=64, eval_batch_size=9))


def test_a_step_that_the_memory_does_not_hold_leaves_the_session_as_it_was(
    decoder_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Model.open(decoder_path, LoadConfig(context_length=64)).session() as session:
        with monkeypatch.context() as patch:
            patch.setattr(PagePool, "take", too_much)
            with pytest.raises(LMStudioServerError, match="contextLength 64, evalBatchSize 512"):
                session.feed([1, 2])
        assert session.position == 0
        assert session.feed([1, 2]) is not None


@pytest.mark.parametrize(("asked", "used"), [(None, 2), (1, 1), (2, 2), (9, 2)])
def test_a_step_runs_on_as_many_threads_as_are_asked_for_and_the_load_has(
    asked: int | None, used: int, decoder_path: Path, ran: list[int]
) -> None:
    with Model.open(decoder_path, LoadConfig(context_length=64, cpu_threads=2)).session() as one:
        one.threads = asked
        ran.clear()  # packing weights is the load's
        one.feed([1, 2])
    assert ran == [used]
