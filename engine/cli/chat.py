"""`gnomon chat`: a conversation. Ctrl-C ends an answer, at the prompt the chat; so does Ctrl-D."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress

from ..api.chat import Chat
from ..api.llm import LLM
from ..api.progress import Progress
from .answer import show
from .inputs import load_model, read_configs
from .progress import compiling


def chat(args: argparse.Namespace) -> None:
    """Answer line after line; TEXT, if given, is the first."""
    prediction, load = read_configs(args)
    history = Chat(args.system)
    with compiling() as progress:
        model = load_model(args, load)
        for line in _lines(args.text):
            history.add_user_message(line)
            _answer(model, history, prediction, args, progress)


def _answer(
    model: LLM,
    history: Chat,
    prediction: dict[str, object],
    args: argparse.Namespace,
    progress: Progress,
) -> None:
    said: list[str] = []
    stream = model.respond_stream(
        history,
        config=prediction,
        on_prediction_fragment=lambda fragment: said.append(fragment.content),
    )
    with _stoppable():
        show(stream, args, progress)
    history.add_assistant_response("".join(said))


def _stoppable() -> AbstractContextManager[None]:
    """On a terminal Ctrl-C ends the answer only; otherwise it ends the command."""
    return suppress(KeyboardInterrupt) if sys.stdin.isatty() else nullcontext()


def _lines(first: str | None) -> Iterator[str]:
    if first is not None and first != "-":
        yield first
    while (line := _next_line()) is not None:
        if line.strip():
            yield line


def _next_line() -> str | None:
    """The next message, None at the end of the input."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None
    with suppress(ImportError):
        import readline  # noqa: F401  (gives input() its line editing)
    try:
        return input("> ")
    except EOFError:
        return None
