"""Logits depend on the tokens alone: not on pieces, threads, rewinds, forks or neighbours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

MODES = ["int8", "float32", "float64"]
# Crosses a page of 128 positions; float64 takes a prefix, for time.
LENGTHS = {"int8": 150, "float32": 150, "float64": 40}


@pytest.fixture(scope="module")
def model(smollm2_path: Path, gemma_path: Path) -> Any:
    paths = {"smollm2": smollm2_path, "gemma": gemma_path}

    @functools.cache
    def open_model(name: str, mode: Any, threads: int = 2) -> Model:
        return Model.open(paths[name], LoadConfig(compute=mode, cpu_threads=threads))

    return open_model


@functools.cache
def ids_for(mode: str) -> tuple[int, ...]:
    rng = np.random.default_rng(3)
    return tuple(int(id_) for id_ in rng.integers(0, 40000, LENGTHS[mode]))


@pytest.fixture(scope="module")
def whole(model: Any) -> Any:
    """The last 20 rows' logits, fed in one piece on 2 threads."""

    @functools.cache
    def rows(name: str, mode: str) -> Any:
        with model(name, mode).session() as session:
            session.feed(ids_for(mode)[:-20], logits="none")
            return session.feed(ids_for(mode)[-20:], logits="all").tobytes()

    return rows


def in_pieces(model: Model, ids: tuple[int, ...], size: int) -> bytes:
    rows = []
    with model.session() as session:
        for start in range(0, len(ids), size):
            rows.append(session.feed(ids[start : start + size], logits="all"))
    return np.concatenate(rows)[-20:].tobytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("mode", MODES)
def test_pieces_and_threads_change_nothing(
    mode: str, size: int, threads: int, model: Any, whole: Any
) -> None:
    found = in_pieces(model("smollm2", mode, threads), ids_for(mode), size)
    assert found == whole("smollm2", mode)


@pytest.mark.parametrize("mode", ["int8", "float32"])
def test_pieces_change_nothing_under_sliding_windows(mode: str, model: Any, whole: Any) -> None:
    assert in_pieces(model("gemma", mode), ids_for(mode), 13) == whole("gemma", mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_rewind_leaves_no_trace(mode: str, model: Any, whole: Any) -> None:
    ids = ids_for(mode)
    with model("smollm2", mode).session() as session:
        session.feed(ids[: len(ids) // 2], logits="none")
        session.feed([5, 6, 7, 8, 9] * 5, logits="none")
        session.rewind(len(ids) // 2 - 3)
        session.feed(ids[len(ids) // 2 - 3 : -20], logits="none")
        assert session.feed(ids[-20:], logits="all").tobytes() == whole("smollm2", mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_and_its_origin_go_their_own_ways(mode: str, model: Any, whole: Any) -> None:
    ids = ids_for(mode)
    with model("smollm2", mode).session() as session:
        session.feed(ids[:-20], logits="none")
        with session.fork() as twin:
            twin.feed([1, 2, 3], logits="none")
            found = session.feed(ids[-20:], logits="all").tobytes()
            twin.rewind(len(ids) - 20)
            again = twin.feed(ids[-20:], logits="all").tobytes()
    assert (found, again) == (whole("smollm2", mode),) * 2


@pytest.mark.parametrize("mode", MODES)
def test_other_sequences_in_the_same_step_change_nothing(mode: str, model: Any, whole: Any) -> None:
    ids, shared = list(ids_for(mode)), model("smollm2", mode)
    sequences = [shared.sequence(400) for _ in range(3)]
    shared.step([(sequences[0], [9] * 30)], np.array([], np.int64))
    shared.step(
        [(sequences[1], [7, 8]), (sequences[2], ids[:-20]), (sequences[0], [4])],
        np.array([], np.int64),
    )
    rows = np.arange(5, 25)
    pieces = [(sequences[0], [3] * 5), (sequences[2], ids[-20:]), (sequences[1], [1])]
    assert shared.step(pieces, rows).tobytes() == whole("smollm2", mode)
