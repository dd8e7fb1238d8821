"""Which steps `gnomon warm` runs, and which texts `gnomon embed --lines` gives the model."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.engine.cli import models
from gnomon.engine.cli.main import main
from gnomon.kernels.matmul import FEW


def echo(key: str, config: Any) -> SimpleNamespace:
    """A model whose vectors are the texts."""
    return SimpleNamespace(identifier=key, embed=list)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a b\x0cc\u2028d\r\ne\n", ["a b\x0cc\u2028d", "e"]),
        ("a\n\nb\n\n", ["a", "", "b", ""]),
        ("\n", [""]),
        ("a", ["a"]),
        ("", []),
    ],
)
def test_embed_takes_what_stands_between_line_ends(
    text: str,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    monkeypatch.setattr(models, "embedding_model", echo)
    assert main(["embed", "--lines"]) == 0
    assert json.loads(capsys.readouterr().out) == lines


class RecordingSession:
    """A session without a model that notes how many tokens each step takes."""

    needs_source, context_length, position = False, 4096, 0

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __enter__(self) -> RecordingSession:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def feed(self, ids: list[int], logits: str) -> None:
        self.steps.append(len(ids))
        self.position += len(ids)


def test_warm_runs_a_step_of_more_than_few_rows() -> None:
    session = RecordingSession()
    models._feed_all_sizes(SimpleNamespace(session=lambda: session))  # type: ignore[arg-type]
    assert session.steps[-1] > FEW


def test_warm_keeps_to_a_small_context() -> None:
    session = RecordingSession()
    session.context_length = 8
    models._feed_all_sizes(SimpleNamespace(session=lambda: session))  # type: ignore[arg-type]
    assert session.steps == [1, 2, 3]
