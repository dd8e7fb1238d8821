"""`gnomon respond` and `gnomon complete`: one answer, written as it is made."""

from __future__ import annotations

import argparse
import json
import sys

from ..api.chat import Chat
from ..api.progress import Progress
from ..api.results import LlmPredictionStats, PredictionResult
from ..api.stream import PredictionStream
from .inputs import load_model, read_configs, read_text
from .progress import compiling


def respond(args: argparse.Namespace) -> None:
    """Answer TEXT as a user's message."""
    prediction, load = read_configs(args)
    chat = Chat(args.system)
    chat.add_user_message(read_text(args))
    with compiling() as progress:
        model = load_model(args, load)
        show(model.respond_stream(chat, config=prediction), args, progress)


def complete(args: argparse.Namespace) -> None:
    """Continue TEXT."""
    if args.system is not None:
        args.usage_error("complete takes a plain text: --system has no meaning here")
    prediction, load = read_configs(args)
    text = read_text(args)
    with compiling() as progress:
        model = load_model(args, load)
        show(model.complete_stream(text, config=prediction), args, progress)


def show(stream: PredictionStream, args: argparse.Namespace, progress: Progress) -> str:
    """Write an answer as it is made, or as one JSON object; its text is returned."""
    said: list[str] = []
    try:
        for fragment in stream:
            progress.finish()
            said.append(fragment.content)
            if not args.json:
                answer = fragment.reasoning_type == "none"
                print(
                    fragment.content,
                    end="",
                    flush=True,
                    file=sys.stdout if answer else sys.stderr,
                )
    finally:
        if said and not args.json:
            print(flush=True)
    progress.finish()
    result = stream.result()
    if args.json:
        print(json.dumps(as_json(result), ensure_ascii=False), flush=True)
    if args.stats:
        print(stats_line(result.stats), file=sys.stderr)
    return "".join(said)


def as_json(result: PredictionResult) -> dict[str, object]:
    """What `--json` writes of an answer."""
    shown: dict[str, object] = {
        "content": result.content,
        "model": result.model_info.model_key,
        "stats": result.stats.to_dict(),
        "config": result.prediction_config.to_dict(),
    }
    if result.structured:
        shown["parsed"] = result.parsed
    if result.logprobs is not None:
        shown["logprobs"] = result.logprobs
    return shown


def stats_line(stats: LlmPredictionStats) -> str:
    """One line of statistics."""
    speed, first = stats.tokens_per_second, stats.time_to_first_token_sec
    parts = [
        f"{stats.prompt_tokens_count} prompt tokens",
        f"first token after {first:.2f} s" if first is not None else None,
        f"{stats.predicted_tokens_count} answer tokens",
        f"{speed:.1f} tokens/s" if speed is not None else None,
        f"stopped: {stats.stop_reason}",
    ]
    return ", ".join(part for part in parts if part)
