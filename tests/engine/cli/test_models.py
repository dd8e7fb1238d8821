"""`gnomon embed --lines`: which texts the model is given."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.engine.cli import models
from gnomon.engine.cli.main import main


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
