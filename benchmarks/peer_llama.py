"""Measure llama.cpp on one model and print JSON: run by `peer.py`, needs llama-cpp-python.

python benchmarks/peer_llama.py MODEL THREADS DEPTH
"""

import json
import sys
import time
from pathlib import Path

from llama_cpp import Llama

PROMPT, GENERATE, ROWS = 512, 64, (1, 2, 4, 8)


def step(model, ids, position):
    """Feed ids from `position` on, with logits of every one."""
    model._ctx.kv_cache_seq_rm(-1, position, -1)
    model._batch.set_batch(batch=ids, n_past=position, logits_all=True)
    model._ctx.decode(model._batch)


def seconds(function, *given):
    start = time.perf_counter()
    function(*given)
    return time.perf_counter() - start


def prompt(model, count):
    model.reset()
    model._ctx.kv_cache_clear()
    model.eval([7 + i % 200 for i in range(count)])


def generate(model, position):
    for i in range(GENERATE):
        step(model, [7 + i], position + i)


def measure(path, threads, depth):
    start = time.perf_counter()
    model = Llama(
        path, n_ctx=depth + 1024, n_batch=512, n_threads=threads, n_threads_batch=threads,
        verbose=False,
    )  # fmt: skip
    step(model, [7], 0)
    result = {"load s": time.perf_counter() - start}
    prompt(model, PROMPT)
    result["prompt t/s"] = PROMPT / min(seconds(prompt, model, PROMPT) for _ in range(2))
    turns = [
        [seconds(step, model, list(range(7, 7 + rows)), PROMPT) for rows in ROWS] for _ in range(8)
    ]
    for rows, times in zip(ROWS, zip(*turns, strict=True), strict=True):
        result[f"{rows} rows ms"] = 1e3 * min(times)
    result["generate t/s"] = GENERATE / seconds(generate, model, 0)
    if depth:
        prompt(model, depth)
        result["deep t/s"] = GENERATE / seconds(generate, model, depth)
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    result["memory MB"] = int(status.split()[0]) / 1024
    return result


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
