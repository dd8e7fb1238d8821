"""Measure gnomon on one model and print JSON: run by `peer.py`.

python -m benchmarks.peer_gnomon MODEL THREADS DEPTH
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

from .machine import read_speed

PROMPT, GENERATE, ROWS = 512, 64, (1, 2, 4, 8)


def seconds(function: Callable[..., Any], *given: Any) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function(*given)
    return time.perf_counter() - start


def step(session: Any, ids: list[int], position: int) -> None:
    """Feed ids from `position` on, with logits of every one."""
    session.rewind(position)
    session.feed(ids, logits="all")


def prompt(session: Any, count: int) -> None:
    """Feed `count` tokens to an empty session."""
    session.rewind(0)
    session.feed([7 + i % 200 for i in range(count)])


def generate(session: Any, position: int) -> None:
    """Feed tokens one by one."""
    for i in range(GENERATE):
        step(session, [7 + i], position + i)


def measure(path: str, threads: int, depth: int) -> dict[str, float]:
    """Times, speeds and the peak of resident memory."""
    start = time.perf_counter()
    model = Model.open(path, LoadConfig(cpu_threads=threads, context_length=depth + 1024))
    session = model.session()
    step(session, [7], 0)
    result = {"load s": time.perf_counter() - start}
    prompt(session, PROMPT)
    result["prompt t/s"] = PROMPT / min(seconds(prompt, session, PROMPT) for _ in range(2))
    for rows in ROWS:
        ids = list(range(7, 7 + rows))
        best = min(seconds(step, session, ids, PROMPT) for _ in range(8))
        result[f"{rows} rows ms"] = 1e3 * best
    result["generate t/s"] = GENERATE / seconds(generate, session, 0)
    if depth:
        prompt(session, depth)
        result["deep t/s"] = GENERATE / seconds(generate, session, depth)
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    result["memory MB"] = int(status.split()[0]) / 1024
    result["read GB/s"] = bytes_of_token(model) * result["generate t/s"] / 1e9
    result["read share"] = result["read GB/s"] / read_speed(threads)
    return result


def bytes_of_token(model: Model) -> int:
    """What a dense model reads of its file for one token: all but the embedding, or all if that is
    the output matrix too.
    """
    tensors = dict(model.file.tensors)
    if "output.weight" in tensors:
        del tensors["token_embd.weight"]
    return sum(tensor.data.nbytes for tensor in tensors.values())


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
