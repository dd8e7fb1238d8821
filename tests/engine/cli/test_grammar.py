"""`gnomon grammar check`: verdicts, places, exit codes."""

import argparse
import json
from pathlib import Path

import pytest

from gnomon.engine.cli import grammar


def check(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    grammar.add_parser(parser.add_subparsers(dest="command"))
    return grammar.run(parser.parse_args(["grammar", "check", *arguments]))


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "point.json"
    path.write_text(json.dumps({"properties": {"x": {"type": "integer"}}, "required": ["x"]}))
    return path


def test_accepted_texts_give_zero(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "good.txt"
    text.write_text('{"x": 5}')
    assert check([str(schema), str(text)]) == 0
    assert capsys.readouterr().out == f"{text}: accepted\n"


def test_a_refused_text_says_where(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "bad.txt"
    text.write_text('{"x":\n "5"}')
    assert check([str(schema), str(text)]) == 1
    assert "fails at line 2, column 2 (byte 7" in capsys.readouterr().out


def test_an_unfinished_text_says_what_is_missing(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "short.txt"
    text.write_text('{"x')
    assert check([str(schema), str(text)]) == 1
    assert "ends too early at line 1, column 4" in capsys.readouterr().out


def test_bytes_are_no_tokens(tmp_path: Path) -> None:
    path = tmp_path / "a.gbnf"
    path.write_text("root ::= <[65]>")
    with pytest.raises(ValueError, match=r"token id 65, expected .* size 0"):
        check([str(path), str(path)])


@pytest.mark.parametrize(
    ("name", "body"), [("a.gbnf", 'root ::= "yes"'), ("a.regex", "y[e]s\n"), ("a.json", "true")]
)
def test_the_kind_follows_the_name(name: str, body: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(body)
    text = tmp_path / "text"
    text.write_text("true" if name == "a.json" else "yes")
    assert check([str(path), str(text)]) == 0


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    with pytest.raises(ValueError, match="suffix"):
        check([str(path), str(path)])
