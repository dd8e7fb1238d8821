"""The session contract: what feed, rewind and fork accept, return and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.errors import (
    LMStudioModelNotFoundError,
    LMStudioRuntimeError,
    LMStudioValueError,
)
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model


@pytest.fixture(scope="module")
def model(smollm2_path: Path) -> Model:
    return Model.open(smollm2_path, LoadConfig(context_length=300))


def test_feed_returns_the_last_rows_logits(model: Model) -> None:
    with model.session() as session:
        last = session.feed([1, 2, 3])
    assert (last.shape, last.dtype) == ((49152,), np.float32)


def test_all_gives_a_row_per_token_and_the_last_is_last(model: Model) -> None:
    with model.session() as one, model.session() as other:
        rows = one.feed([1, 2, 3], logits="all")
        assert np.array_equal(rows[-1], other.feed([1, 2, 3]))
    assert rows.shape == (3, 49152)


def test_none_gives_nothing_and_counts(model: Model) -> None:
    with model.session() as session:
        assert session.feed([1, 2, 3], logits="none") is None
        assert (session.position, session.tokens) == (3, [1, 2, 3])


def test_logits_stay_what_they_were_when_more_is_fed(model: Model) -> None:
    with model.session() as session:
        first = session.feed([1])
        before = first.copy()
        session.feed([2])
    assert np.array_equal(first, before)


def test_numpy_ids_and_generators_are_ids(model: Model) -> None:
    with model.session() as session:
        session.feed(np.array([1, 2]), logits="none")
        session.feed((id_ for id_ in (3, 4)), logits="none")
        assert session.tokens == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([49152], "token id: found 49152, expected 0 to 49151"),
        ([-1], "token id: found -1"),
        (["a"], "expected whole numbers"),
        ([1.5], "expected whole numbers"),
        (7, "expected whole numbers"),
        ([], "found none"),
        ([1] * 301, "the context holds 300"),
    ],
)
def test_bad_ids_are_refused_and_nothing_counts(model: Model, ids: Any, said: str) -> None:
    with model.session() as session:
        with pytest.raises(LMStudioValueError, match=said):
            session.feed(ids)
        assert session.position == 0


def test_no_ids_are_fine_where_no_last_one_is_asked(model: Model) -> None:
    with model.session() as session:
        assert session.feed([], logits="all").shape == (0, 49152)
        assert session.feed([], logits="none") is None


def test_unknown_logits_are_refused(model: Model) -> None:
    with model.session() as session, pytest.raises(LMStudioValueError, match="logits"):
        session.feed([1], logits="some")  # type: ignore[arg-type]


def test_the_context_can_be_filled_to_the_last_position(model: Model) -> None:
    with model.session(context_length=5) as session:
        session.feed([1] * 5, logits="none")
        with pytest.raises(LMStudioValueError, match="the context holds 5"):
            session.feed([1])


@pytest.mark.parametrize("position", [4, -1, "x"])
def test_rewind_outside_what_is_held_is_refused(model: Model, position: Any) -> None:
    with model.session() as session:
        session.feed([1, 2, 3], logits="none")
        with pytest.raises(LMStudioValueError, match="position"):
            session.rewind(position)


@pytest.mark.parametrize("length", [0, -1, 301, "x"])
def test_a_session_cannot_be_longer_than_its_model(model: Model, length: Any) -> None:
    with pytest.raises(LMStudioValueError, match="context_length"):
        model.session(context_length=length)


def test_a_closed_session_says_so(model: Model) -> None:
    session = model.session()
    session.close()
    session.close()
    with pytest.raises(LMStudioRuntimeError, match="closed"):
        session.feed([1])


def test_closing_gives_every_page_back(model: Model) -> None:
    before = model._pages.in_use
    with model.session() as session:
        session.feed([1] * 200, logits="none")
        session.fork().close()
    assert model._pages.in_use == before


def interrupted(*given: Any) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_step_counts_nothing(model: Model, monkeypatch: Any) -> None:
    with model.session() as session:
        session.feed([1, 2, 3], logits="none")
        monkeypatch.setattr(model, "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.feed([4])
        monkeypatch.undo()
        with model.session() as fresh:
            assert np.array_equal(session.feed([5]), fresh.feed([1, 2, 3, 5]))


def test_a_session_of_an_unloaded_model_says_so(smollm2_path: Path) -> None:
    model = Model.open(smollm2_path, LoadConfig(context_length=16))
    session = model.session()
    session.feed([1])
    model.close()
    with pytest.raises(LMStudioModelNotFoundError, match="unloaded"):
        session.feed([2])
    session.close()


def test_a_fork_runs_on_as_many_threads(model: Model) -> None:
    with model.session() as session:
        session.threads = 1
        with session.fork() as twin:
            assert twin.threads == 1


@pytest.mark.parametrize("threads", [0, "2"])
def test_no_threads_are_refused(threads: Any, model: Model) -> None:
    with model.session() as session, pytest.raises(LMStudioValueError, match="threads: found"):
        session.threads = threads
