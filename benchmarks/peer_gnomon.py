"""Measure gnomon on one model and print JSON: run by `peer.py`.

python -m benchmarks.peer_gnomon MODEL THREADS DEPTH
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

from .machine import reader

PROMPT, GENERATE, ROWS = 512, 64, (1, 2, 4, 8)
TURNS, STEPS = 16, 6


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
    turns = [
        [seconds(step, session, list(range(7, 7 + rows)), PROMPT) for rows in ROWS]
        for _ in range(8)
    ]
    for rows, times in zip(ROWS, zip(*turns, strict=True), strict=True):
        result[f"{rows} rows ms"] = 1e3 * min(times)
    result["generate t/s"] = GENERATE / seconds(generate, session, 0)
    if depth:
        prompt(session, depth)
        result["deep t/s"] = GENERATE / seconds(generate, session, depth)
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    result["memory MB"] = int(status.split()[0]) / 1024
    result["memory GB/s"], result["read share"] = memory_use(session, model, threads)
    return result


def memory_use(session: Any, model: Model, threads: int) -> tuple[float, float]:
    """GB/s that memory gives, and the share of it at which steps of one token read the file.

    Medians of turns of a few steps, each between two passes over other memory.
    """
    read = reader(threads)
    read()
    speeds, shares = [read()], []
    for turn in range(TURNS):
        start = time.perf_counter()
        for i in range(STEPS):
            step(session, [7 + i], STEPS * turn + i)
        speed = STEPS * bytes_of_token(model) / (time.perf_counter() - start) / 1e9
        speeds.append(read())
        shares.append(speed / mean(speeds[-2:]))
    return median(speeds), median(shares)


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
