"""The `gnomon` command: arguments in, an exit code out: 0, 1 an error, 2 usage, 130 after Ctrl-C.

The answer alone goes to standard output; progress, notes and statistics go to standard error.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from . import grammar

logger = logging.getLogger("gnomon")

# Command -> what it does, and the function that does it (loaded when it runs).
COMMANDS = {
    "respond": ("answer a message", "answer:respond"),
    "complete": ("continue a text", "answer:complete"),
    "chat": ("hold a conversation, one message a line", "chat:chat"),
    "embed": ("turn a text into a vector", "models:embed"),
    "tokens": ("show the token ids of a text", "tokens:tokens"),
    "ls": ("list the models in the models folder", "models:ls"),
    "get": ("fetch a model of the catalogue", "models:get"),
    "warm": ("compile what a model needs, ahead of its first answer", "models:warm"),
    "grammar": ("check texts against a grammar", "grammar:run"),
}
TEXT_COMMANDS = ("respond", "complete", "chat", "embed", "tokens")
ANSWERING = ("respond", "complete", "chat")
# New objects between two searches for garbage. Nearly all that a start makes stays: searching it as
# often as Python does (700) takes 0.09 s of a start of 1.0 s.
PATIENCE = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (usage errors raise SystemExit(2))."""
    parser = make_parser()
    args = parser.parse_args(argv)
    often = gc.get_threshold()
    gc.set_threshold(PATIENCE)
    try:
        _check_streams()
        args.usage_error = parser.error
        module, _, function = COMMANDS[args.command][1].partition(":")
        code = getattr(import_module(f"..{module}", __name__), function)(args)
        sys.stdout.flush()
        return code or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_is_gone()
    except Exception as error:
        logger.debug("command failed", exc_info=True)
        _say(f"gnomon: {_one_line(error)}")
        return 1
    finally:
        gc.set_threshold(*often)


def make_parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="gnomon", description="Run GGUF language models on a CPU."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, _) in COMMANDS.items():
        if name == "grammar":
            grammar.add_parser(commands)
            continue
        command = commands.add_parser(name, help=summary, description=f"gnomon {name}: {summary}.")
        _add_arguments(name, command)
    return parser


def _add_arguments(name: str, command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="write one JSON value")
    command.add_argument("--stats", action="store_true", help="statistics to standard error")
    if name in TEXT_COMMANDS:
        command.add_argument(
            "text", nargs="?", metavar="TEXT", help="default, or -: standard input"
        )
    if name == "get":
        command.add_argument("key", metavar="KEY", help="a model of the catalogue, see gnomon ls")
    if name not in ("ls", "get"):
        command.add_argument(
            "-m", "--model", metavar="MODEL", help="a key or a path (default: the default model)"
        )
        command.add_argument(
            "--config",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="a prediction or load config key; the value is JSON or text",
        )
    if name in ANSWERING:
        command.add_argument("--system", metavar="TEXT", help="directions for the assistant")
        command.add_argument(
            "--temperature", type=float, metavar="T", help="0: always the likeliest"
        )
        command.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
        command.add_argument("--seed", type=int, metavar="N", help="same seed, same answer")
    _add_own_arguments(name, command)


def _add_own_arguments(name: str, command: argparse.ArgumentParser) -> None:
    """What one command alone takes."""
    if name == "embed":
        command.add_argument("--lines", action="store_true", help="one vector per line of the text")
        command.add_argument("--out", metavar="FILE", help="write a NumPy file (.npy) instead")
    if name == "warm":
        command.add_argument(
            "--tiles",
            action="store_true",
            help="keep the packed weights on disk too (as large as the model): loads map them",
        )
    if name == "tokens":
        command.add_argument(
            "--parse-special", action="store_true", help="read the texts of control tokens as such"
        )
        command.add_argument(
            "--no-special", action="store_true", help="no begin and end tokens around the text"
        )


class _Version(argparse.Action):
    """Look the version up when it is asked for: 20 ms that no other command should wait."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        from importlib import metadata

        try:
            version = metadata.version("gnomon")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"gnomon {version}")
        parser.exit()


def _check_streams() -> None:
    """Read and write UTF-8. Where nobody gave an input it is empty, where nobody hears notes they
    are dropped; an answer that nobody can have is an error.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115  (open until the end)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        raise OSError("standard output is closed")
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "replace"), (sys.stderr, "replace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)


def _reader_is_gone() -> int:
    """Whoever read our output has had enough; keep Python from complaining at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _say(text: str) -> None:
    print(text, file=sys.stderr)
