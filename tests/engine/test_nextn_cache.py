"""What a session keeps for layers ahead: the same bytes however it was fed, rewound or forked."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.kernels.kv_pages import PAGE, keys_of, values_of

ROOT = Path(__file__).parents[2]
ARCHS, GOLDEN = ROOT / "tests" / "golden" / "archs", ROOT / "tests" / "golden" / "nextn"
# One layer; one behind recurrent layers; two.
NAMES = ("glm4moe-moe", "qwen35-dense", "hy_v3-moe")
TOKENS = np.random.default_rng(3).integers(3, 120, 150).tolist()
Open = Callable[..., Model]


def load_fixture_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fixture_for_cache", ARCHS / "fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """`opened(name)`: a fixture's model; `batch` rows at most in a step."""
    folder, models = tmp_path_factory.mktemp("cache"), dict[tuple[str, int], Model]()

    def open_model(name: str, batch: int = 512) -> Model:
        path = folder / f"{name}.gguf"
        if not path.exists():
            spec = json.loads((GOLDEN / f"{name}.json").read_text())
            load_fixture_writer().write(spec, str(path))
        if (name, batch) not in models:
            models[name, batch] = Model.open(path, LoadConfig(eval_batch_size=batch))
        return models[name, batch]

    yield open_model
    for model in models.values():
        model.close()


def drafted(session: Any, first: int = 7) -> bytes:
    """The logits of two drafted tokens, as bytes."""
    with session.nextn.ahead() as ahead:
        one = ahead.feed(first)
        return one.tobytes() + ahead.feed(int(one.argmax())).tobytes()


def held(session: Any) -> bytes:
    """All keys and values that the layers ahead have of the session's tokens."""
    drafted(session)
    cache, parts = session.nextn, []
    assert cache.known == cache.sequence.length == session.position
    for position in range(cache.known):
        page, slot = int(cache.sequence.table[position // PAGE]), position % PAGE
        for region in cache.layers._regions:
            parts.append(keys_of(page, region)[:, slot // 16, :, slot % 16].tobytes())
            parts.append(values_of(page, region)[:, slot, : region.value_dim].tobytes())
    return b"".join(parts)


def fresh(model: Model, tokens: list[int]) -> tuple[bytes, bytes]:
    """What a new session of these tokens drafts and holds."""
    with model.session() as session:
        session.feed(tokens, logits="none")
        return drafted(session), held(session)


def state(session: Any) -> tuple[bytes, bytes]:
    return drafted(session), held(session)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 150])
def test_pieces_of_any_size_leave_the_same(opened: Open, name: str, size: int) -> None:
    model = opened(name)
    with model.session() as session:
        for start in range(0, len(TOKENS), size):
            session.feed(TOKENS[start : start + size], logits="none")
        assert state(session) == fresh(model, TOKENS)


# A step of one row has no room for the draft of a second layer.
@pytest.mark.parametrize(
    ("name", "batch"),
    [(name, batch) for name in NAMES for batch in (1, 2, 16) if (name, batch) != (NAMES[2], 1)],
)
def test_rows_that_wait_are_read_when_they_fill_a_step(opened: Open, name: str, batch: int) -> None:
    small = opened(name, batch)
    with small.session() as session:
        session.feed(TOKENS, logits="none")
        assert len(session.nextn._waiting) <= batch
        assert state(session) == fresh(opened(name), TOKENS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position", [0, 1, 60, 127, 128, 139, 140, 141, 145, 150])
@pytest.mark.parametrize("read", [True, False], ids=["read", "waiting"])
def test_a_rewind_leaves_what_a_fresh_session_has(
    opened: Open, name: str, position: int, read: bool
) -> None:
    model = opened(name)
    with model.session() as session:
        session.feed(TOKENS[:140], logits="none")
        if read:
            drafted(session)
        session.feed(TOKENS[140:], logits="none")
        session.rewind(position)
        assert session.position == session.nextn.known == position
        assert state(session) == fresh(model, TOKENS[:position])
        session.feed(TOKENS[3:9], logits="none")
        assert state(session) == fresh(model, TOKENS[:position] + TOKENS[3:9])


@pytest.mark.parametrize("name", NAMES)
def test_two_rewinds_in_a_row_leave_what_a_fresh_session_has(opened: Open, name: str) -> None:
    model = opened(name)
    with model.session() as session:
        session.feed(TOKENS, logits="none")
        drafted(session)
        session.rewind(100)
        session.rewind(50)
        session.rewind(50)
        assert state(session) == fresh(model, TOKENS[:50])


def test_a_rewind_that_is_read_again_in_many_steps_leaves_the_same(opened: Open) -> None:
    small = opened("qwen35-dense", 2)
    with small.session() as session:
        session.feed(TOKENS[:140], logits="none")
        drafted(session)
        for position in (139, 101, 70, 33):
            session.rewind(position)
            assert state(session) == fresh(opened("qwen35-dense"), TOKENS[:position])


@pytest.mark.parametrize("name", NAMES)
def test_drafts_leave_no_trace(opened: Open, name: str) -> None:
    model = opened(name)
    with model.session() as session:
        session.feed(TOKENS[:40], logits="none")
        first = drafted(session, 5)
        assert drafted(session, 9) != first
        assert drafted(session, 5) == first
        session.feed(TOKENS[40:50], logits="none")
        assert state(session) == fresh(model, TOKENS[:50])


@pytest.mark.parametrize("name", NAMES)
def test_forks_go_their_own_ways(opened: Open, name: str) -> None:
    model = opened(name)
    with model.session() as session:
        session.feed(TOKENS[:30], logits="none")
        drafted(session)
        session.feed(TOKENS[30:40], logits="none")
        with session.fork() as twin:
            twin.feed(TOKENS[90:95], logits="none")
            session.feed(TOKENS[40:45], logits="none")
            assert state(twin) == fresh(model, TOKENS[:40] + TOKENS[90:95])
        assert state(session) == fresh(model, TOKENS[:45])


def test_a_session_gives_its_pages_back(opened: Open) -> None:
    model = opened("glm4moe-moe")
    assert model.nextn is not None
    before = model.nextn._pages.in_use
    with model.session() as session:
        session.feed(TOKENS, logits="none")
        drafted(session)
        assert model.nextn._pages.in_use == before + 2
    assert model.nextn._pages.in_use == before


def test_after_a_torn_rewind_other_tokens_may_follow(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened("glm4moe-moe")
    with model.session() as session:
        session.feed(TOKENS[:20], logits="none")
        drafted(session)
        with monkeypatch.context() as torn:
            torn.setattr(model, "step_with_rows", lambda *args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                session.rewind(10)
        assert session.nextn.known == session.position
        session.feed(TOKENS[30:40], logits="none")
        assert session.nextn.known == session.position == 19
        drafted(session)
        assert session.nextn.sequence.length == 19


def test_drafts_end_with_the_context_and_with_the_layers(opened: Open) -> None:
    with opened("glm4moe-moe").session(context_length=12) as session:
        session.feed(TOKENS[:10], logits="none")
        assert session.nextn.most == 2
        drafted(session)
        session.feed(TOKENS[10:12], logits="none")
        assert session.nextn.most == 0
    with opened("hy_v3-moe").session() as session:
        session.feed(TOKENS[:10], logits="none")
        assert session.nextn.most == 2
    with opened("hy_v3-moe", 1).session() as session:
        assert session.nextn.most == 1


@pytest.mark.parametrize("name", NAMES)
def test_layers_ahead_run_on_as_many_threads_as_their_session(
    name: str, opened: Open, ran: list[int]
) -> None:
    with opened(name).session() as session:
        session.threads = 1
        ran.clear()  # packing weights is the load's
        session.feed(TOKENS[:20])
        drafted(session)
        with session.fork() as twin:
            drafted(twin)
    assert len(ran) > 4
    assert set(ran) == {1}
