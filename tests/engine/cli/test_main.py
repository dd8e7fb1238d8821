"""The command line: what goes to which output, exit codes, where the text comes from."""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnomon.engine.api.registry import REGISTRY
from gnomon.engine.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[3]
KEY = "acme/toy-model"
GREEDY = ["-m", KEY, "--temperature", "0", "--config", "repeatPenalty=false"]

pytestmark = pytest.mark.usefixtures("toy_folder")


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set what standard input holds: `stdin("text")`."""

    def hold(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return hold


def test_respond_writes_the_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    main(["respond", "hello", *GREEDY])  # what the first run compiles is said on standard error
    capsys.readouterr()
    assert main(["respond", "hello", *GREEDY]) == 0
    assert capsys.readouterr() == ("You said: hello\n", "")


def test_complete_writes_the_continuation_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complete", "w", *GREEDY]) == 0
    assert capsys.readouterr().out == "xyz\n"


@pytest.mark.parametrize("text", [[], ["-"]])
def test_the_text_may_come_from_standard_input(
    text: list[str], stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin("héllo\n")
    assert main(["respond", *text, *GREEDY]) == 0
    assert capsys.readouterr().out == "You said: héllo\n"


def test_standard_input_that_is_no_utf8_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    assert main(["respond", *GREEDY]) == 1
    assert "utf-8" in capsys.readouterr().err


def test_a_closed_standard_input_is_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["respond", *GREEDY]) == 0
    assert capsys.readouterr().out == "You said: \n"


def test_a_closed_standard_output_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["respond", "hello", *GREEDY]) == 1
    assert capsys.readouterr().err == "gnomon: standard output is closed\n"


def test_notes_nobody_hears_do_not_go_to_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["respond", "hello", "--stats", *GREEDY]) == 0
    assert capsys.readouterr().out == "You said: hello\n"


def test_chat_reads_utf8_whatever_the_system_s_encoding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = io.TextIOWrapper(io.BytesIO("é\n".encode()), encoding="latin-1")
    monkeypatch.setattr(sys, "stdin", given)
    assert main(["chat", *GREEDY]) == 0
    assert capsys.readouterr().out == "You said: é\n"


def test_system_gives_directions(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return "ok"

    open_toy = REGISTRY._open_model

    def open_spying(path: Any, config: Any, check: Any) -> Any:
        model: Any = open_toy(path, config, check)
        model.reply = reply
        return model

    monkeypatch.setattr(REGISTRY, "_open_model", open_spying)
    main(["respond", "hi", "--system", "be kind", *GREEDY])
    assert "<|im_start|>system\nbe kind<|im_end|>" in prompts[0]


def test_max_tokens_ends_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    main(["complete", "a", "--max-tokens", "3", *GREEDY])
    assert capsys.readouterr().out == "bcd\n"


def test_the_same_seed_gives_the_same_answer(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        main(["complete", "dice", "-m", KEY, "--seed", "5", "--max-tokens", "20"])
    one, two = capsys.readouterr().out.splitlines()
    assert one == two


def test_config_sets_prediction_keys(capsys: pytest.CaptureFixture[str]) -> None:
    main(["complete", "a", *GREEDY, "--config", 'stop=["e"]'])
    assert capsys.readouterr().out == "bcd\n"


def test_config_sets_load_keys() -> None:
    main(["complete", "w", *GREEDY, "--config", "context_length=64"])
    (instance,) = REGISTRY.loaded()
    assert instance.config.context_length == 64


@pytest.mark.parametrize("setting", ["topq=1", "temperature=-1", "contextLength=0", "seed"])
def test_a_wrong_config_is_a_usage_error(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["respond", "hi", "-m", KEY, "--config", setting])
    assert error.value.code == 2
    assert setting.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [[], ["sing"], ["respond", "hi", "--loud"], ["get"], ["complete", "a", "--system", "x"]]
)
def test_wrong_usage_is_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2


def test_an_unknown_model_is_one_line_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["respond", "hi", "-m", "nothing"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gnomon: no model 'nothing'")
    assert err.count("\n") == 1


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Any, config: Any, check: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(REGISTRY, "_open_model", interrupted)
    assert main(["respond", "hi", *GREEDY]) == 130


def test_stats_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    main(["complete", "w", "--stats", *GREEDY])
    out, err = capsys.readouterr()
    assert out == "xyz\n"
    assert err.startswith("2 prompt tokens, first token after")
    assert "stopped: eosFound" in err


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    main(["complete", "w", "--json", *GREEDY])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["content"], shown["model"]) == ("xyz", KEY)
    assert shown["stats"]["stopReason"] == "eosFound"
    assert shown["config"]["temperature"] == 0


def test_reasoning_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_toy = REGISTRY._open_model

    def open_thinking(path: Any, config: Any, check: Any) -> Any:
        model: Any = open_toy(path, config, check)
        model.reply = lambda prompt: "<think>hm</think>ok"
        model.metadata["tokenizer.chat_template"] = "<think></think>"
        return model

    monkeypatch.setattr(REGISTRY, "_open_model", open_thinking)
    main(["respond", "hi", *GREEDY])
    assert capsys.readouterr() == ("ok\n", "<think>hm</think>")


def test_chat_answers_line_after_line(stdin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stdin("one\n\ntwo\n")
    assert main(["chat", *GREEDY]) == 0
    assert capsys.readouterr().out == "You said: one\nYou said: two\n"


def test_chat_begins_with_the_text_if_there_is_one(
    stdin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin("two\n")
    main(["chat", "one", *GREEDY])
    assert capsys.readouterr().out == "You said: one\nYou said: two\n"


def test_chat_writes_json_lines(stdin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stdin("one\ntwo\n")
    main(["chat", "--json", *GREEDY])
    answers = [json.loads(line)["content"] for line in capsys.readouterr().out.splitlines()]
    assert answers == ["You said: one", "You said: two"]


def test_ctrl_c_in_a_chat_on_a_terminal_ends_the_answer_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    lines = iter(["one", "two"])

    def next_line(prompt: str) -> str:
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    open_toy = REGISTRY._open_model

    def open_interrupted(path: Any, config: Any, check: Any) -> Any:
        model: Any = open_toy(path, config, check)

        def interrupt() -> None:
            if len(model.fed) == 4:
                raise KeyboardInterrupt

        model.on_feed = interrupt
        return model

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", next_line)
    monkeypatch.setattr(REGISTRY, "_open_model", open_interrupted)
    assert main(["chat", *GREEDY]) == 0
    assert capsys.readouterr().out == "You\nYou said: two\n"


def test_ls_lists_what_is_there_and_what_can_be_fetched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [KEY, "0", "MB", "acme/toy-model/toy.gguf"]
    assert any("gnomon get smollm2-135m-instruct" in line for line in lines)


def test_ls_json_tells_sizes_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ls", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert rows[0] == {"key": KEY, "sizeBytes": 3, "path": "acme/toy-model/toy.gguf"}


def test_get_writes_the_path(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", KEY]) == 0
    assert capsys.readouterr().out.strip() == str(toy_folder / "acme" / "toy-model" / "toy.gguf")


def test_warm_says_when_it_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "-m", KEY]) == 0
    assert capsys.readouterr() == ("", f"{KEY} is ready\n")


def test_warm_can_keep_the_packed_weights(
    toy_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_toy, kept = REGISTRY._open_model, (toy_folder / "x.tiles", 1_200_000_000)

    def open_keeping(path: Any, config: Any, check: Any) -> Any:
        model: Any = open_toy(path, config, check)
        model.keep_tiles = lambda: kept
        return model

    monkeypatch.setattr(REGISTRY, "_open_model", open_keeping)
    assert main(["warm", "-m", KEY, "--tiles"]) == 0
    assert capsys.readouterr().err == f"{kept[0]}: 1.2 GB\n{KEY} is ready\n"


def test_embed_refuses_a_language_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", "hi", "-m", KEY]) == 1
    assert "is a language model" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main([command, "--help"])
    assert error.value.code == 0
    assert command in capsys.readouterr().out


def test_python_m_gnomon_is_the_command() -> None:
    run = [sys.executable, "-m", "gnomon", "--version"]
    shown = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.startswith("gnomon ")


def test_a_reader_that_leaves_is_no_error() -> None:
    run = [sys.executable, "-m", "gnomon", "ls"]
    with subprocess.Popen(
        run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)


def test_the_callers_garbage_is_collected_as_often_as_before() -> None:
    before = gc.get_threshold()
    assert main(["ls"]) == 0
    assert gc.get_threshold() == before
