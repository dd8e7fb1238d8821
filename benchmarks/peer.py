"""gnomon beside llama-cpp-python on the same files, each in a process of its own, by turns.

    python -m benchmarks.peer MODEL... [--peer-python PATH] [--runs 5] [--depth 4096] [--json OUT]
        [--tiles] [--memory GB_PER_SECOND]

Prompt of 512 tokens, generation from nothing and at `--depth`, time from opening the file to the
first token (caches warm), cost of steps of 2, 4 and 8 tokens relative to one after the prompt, peak
resident memory; and of gnomon the share of what memory gives that generation reads the file at.
Prints medians of `--runs` runs and gnomon's ratio to its peer; above 1 is better for speeds, below
1 for the rest. `benchmarks.chart` draws the JSON.

Generation is bound by memory, whose speed other tenants of a machine change from second to second:
so the engines generate a few tokens in turn, with memory read in between; with
`--memory` only turns count beside which it gave that much. `--tiles` first keeps the packed weights
(`gnomon warm --tiles`), which loads then map.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from statistics import mean, median

from gnomon.engine.model import Model

from .machine import reader

HERE = Path(__file__).parent
PROMPT, ROWS = 512, (1, 2, 4, 8)
TOKENS, TURNS, PLACES, MOST_TURNS = 16, 12, 4, 400  # 64 tokens, and again
Result = dict[str, float]


class Worker:
    """An engine's process, asked for one thing at a time."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
        )

    def ask(self, name: str, *given: object) -> float:
        """What the worker's method returns, or the seconds it took; exits if the worker did."""
        assert self._process.stdin
        assert self._process.stdout
        answer = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([name, *given]) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self._command)}: ended while asked for {name}")
        return float(json.loads(answer))

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


Workers = Mapping[str, Worker]


def compare(model: Path, peer_python: str, given: argparse.Namespace) -> dict[str, Result]:
    """Medians of runs: {"gnomon": ..., "llama.cpp": ...}."""
    ours = [sys.executable, "-m", "benchmarks.peer_gnomon"]
    theirs = [peer_python, "-m", "benchmarks.peer_llama"]
    load = [str(model.resolve()), given.threads, given.depth + 1024]
    with closing(Worker(ours)) as worker:  # compiles what the cache lacks, and reads the file
        worker.ask("load", *load)
        prompts({"gnomon": worker}, 0)
        steps({"gnomon": worker}, 1)
    runs = []
    for _ in range(given.runs):
        with closing(Worker(ours)) as ours_now, closing(Worker(theirs)) as theirs_now:
            workers = {"gnomon": ours_now, "llama.cpp": theirs_now}
            runs.append(run(workers, load, given))
    return {name: medians([run[name] for run in runs]) for name in runs[0]}


def medians(results: list[Result]) -> Result:
    """The median of each figure."""
    return {key: median(result[key] for result in results) for key in results[0]}


def run(workers: Workers, load: list[object], given: argparse.Namespace) -> dict[str, Result]:
    """All figures of each engine, once."""
    found = {name: {"load s": worker.ask("load", *load)} for name, worker in workers.items()}
    for name, seconds in prompts(workers, 2).items():
        found[name]["prompt t/s"] = PROMPT / seconds
    for name, costs in steps(workers, 8).items():
        found[name] |= costs
    read = reader(given.threads)
    for name, figures in generation(workers, 0, read, given.memory).items():
        found[name] |= figures
    if given.depth:
        for worker in workers.values():
            worker.ask("prompt", given.depth)
        for name, figures in generation(workers, given.depth, read, given.memory).items():
            found[name]["deep t/s"] = figures["generate t/s"]
    for name, worker in workers.items():
        found[name]["memory MB"] = worker.ask("memory")
    return found


def prompts(workers: Workers, turns: int) -> dict[str, float]:
    """Seconds of a prompt, the best of `turns` after one that does not count."""
    times = [
        {name: worker.ask("prompt", PROMPT) for name, worker in workers.items()}
        for _ in range(turns + 1)
    ]
    return {name: min(turn[name] for turn in times[1:] or times) for name in workers}


def steps(workers: Workers, turns: int) -> dict[str, Result]:
    """Milliseconds of a step of one token after the prompt, and what more tokens cost of that:
    medians of turns.
    """
    found: dict[str, list[Result]] = {name: [] for name in workers}
    for _ in range(turns):
        for name, worker in workers.items():
            # The first step after the other engine's takes longer than those that follow it.
            best = {rows: min(worker.ask("step", rows, PROMPT) for _ in range(3)) for rows in ROWS}
            more = {f"{rows} rows / 1": best[rows] / best[1] for rows in ROWS[1:]}
            found[name].append({"1 row ms": 1e3 * best[1]} | more)
    return {name: medians(results) for name, results in found.items()}


def generation(
    workers: Workers, position: int, read: Callable[[], float], least: float
) -> dict[str, Result]:
    """Tokens per second from `position` on: medians of turns beside which memory gave `least`
    GB/s.
    """
    size = workers["gnomon"].ask("bytes_of_token")
    times: list[Result] = []
    memory, shares, before = [], [], read()
    for turn in range(MOST_TURNS):
        start, seconds, reads = position + turn % PLACES * TOKENS, {}, [before]
        for name, worker in workers.items():
            worker.ask("step", 1, start)  # wakes the threads
            seconds[name] = worker.ask("generate", TOKENS, start)
            reads.append(read())
        before = reads[-1]
        if min(reads) < least:
            continue
        times.append(seconds)
        memory.append(mean(reads))
        shares.append(TOKENS * size / seconds["gnomon"] / 1e9 / mean(reads[:2]))
        if len(times) == TURNS:
            break
    else:
        raise SystemExit(f"memory gave {least} GB/s in {len(times)} of {MOST_TURNS} turns")
    found = {
        name: {"generate t/s": TOKENS / median(seconds[name] for seconds in times)}
        for name in workers
    }
    found["gnomon"] |= {"memory GB/s": median(memory), "read share": median(shares)}
    return found


def keep_tiles(model: Path) -> None:
    """Keep the packed weights, and hold on to nothing."""
    opened = Model.open(model)
    opened.keep_tiles()
    opened.close()


def show(model: Path, found: dict[str, Result]) -> None:
    """Print one table."""
    ours, theirs = found["gnomon"], found["llama.cpp"]
    print(f"\n{model.name}, {model.stat().st_size / 1e6:.0f} MB")
    print(f"{'':16} {'gnomon':>10} {'llama.cpp':>10} {'ratio':>7}")
    for key, value in ours.items():
        other = f"{theirs[key]:10.2f} {value / theirs[key]:7.2f}" if key in theirs else ""
        print(f"{key:16} {value:10.2f} {other}", flush=True)


def main() -> None:
    """Read the command line, compare on each model, print tables and write JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--depth", type=int, default=4096)
    parser.add_argument("--memory", type=float, default=0.0)
    parser.add_argument("--tiles", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {}
    for model in given.models:
        if given.tiles:
            keep_tiles(model)
        pair = compare(model, given.peer_python, given)
        found[model.name] = pair
        show(model, pair)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
