"""`gnomon tokens`: ids of SmolLM2, without its weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gnomon.engine.cli.main import main


def test_ids_are_written_on_one_line(
    smollm2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tokens", "Hello world", "-m", str(smollm2_path)]) == 0
    assert capsys.readouterr() == ("19556 905\n", "")


def test_json_tells_the_text_of_every_id(
    smollm2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tokens", "Hello world", "--json", "-m", str(smollm2_path)])
    assert json.loads(capsys.readouterr().out) == [
        {"token": 19556, "text": "Hello"},
        {"token": 905, "text": " world"},
    ]


def test_control_tokens_are_read_only_if_asked(
    smollm2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tokens", "<|im_end|>", "--parse-special", "-m", str(smollm2_path)])
    main(["tokens", "<|im_end|>", "-m", str(smollm2_path)])
    asked, plain = capsys.readouterr().out.splitlines()
    assert asked == "2"
    assert len(plain.split()) > 1


def test_no_special_leaves_the_begin_token_out(
    gemma_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tokens", "Hi", "-m", str(gemma_path)])
    main(["tokens", "Hi", "--no-special", "-m", str(gemma_path)])
    whole, bare = (line.split() for line in capsys.readouterr().out.splitlines())
    assert whole == ["2", *bare]


def test_stats_count_them(smollm2_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["tokens", "Hello world", "--stats", "-m", str(smollm2_path)])
    assert capsys.readouterr().err == "2 tokens, 11 characters\n"


def test_a_wrong_config_key_is_a_usage_error(smollm2_path: Path) -> None:
    with pytest.raises(SystemExit) as error:
        main(["tokens", "Hello", "--config", "tempature=1", "-m", str(smollm2_path)])
    assert error.value.code == 2
