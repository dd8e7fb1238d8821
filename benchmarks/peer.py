"""gnomon beside llama-cpp-python: both in turn on the same files, each in a process of its own.

    python -m benchmarks.peer MODEL... [--peer-python PATH] [--runs 5] [--depth 4096] [--json OUT]
        [--tiles]

Prompt of 512 tokens, 64 tokens generated from nothing and at `--depth`, time from opening the file
to the first token (caches warm), cost of steps of 2, 4 and 8 tokens relative to one after the
prompt, peak resident memory; of gnomon also the share of what memory gives at the time that
generation reads the file at. Prints medians of `--runs` alternating runs and gnomon's ratio to its
peer; above 1 is better for speeds, below 1 for the rest. `--tiles` first keeps the packed weights
(`gnomon warm --tiles`), which loads then map. `benchmarks.chart` draws the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from gnomon.engine.model import Model

HERE = Path(__file__).parent
Result = dict[str, float]


def run(command: list[str]) -> Result:
    """Run one worker; exits with its error if it fails."""
    out = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if out.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{out.stderr}")
    result: Result = json.loads(out.stdout.splitlines()[-1])
    for rows in (2, 4, 8):
        result[f"{rows} rows / 1"] = result.pop(f"{rows} rows ms") / result["1 rows ms"]
    return result


def medians(results: list[Result]) -> Result:
    """The median of each figure."""
    return {key: median(result[key] for result in results) for key in results[0]}


def compare(
    model: Path, peer_python: str, runs: int, threads: int, depth: int
) -> dict[str, Result]:
    """Medians of alternating runs: {"gnomon": ..., "llama.cpp": ...}."""
    rest = [str(model.resolve()), str(threads), str(depth)]
    workers = {
        "gnomon": [sys.executable, "-m", "benchmarks.peer_gnomon", *rest],
        "llama.cpp": [peer_python, str(HERE / "peer_llama.py"), *rest],
    }
    results: dict[str, list[Result]] = {name: [] for name in workers}
    run([*workers["gnomon"][:-1], "0"])  # compiles what the cache lacks, and reads the file
    for _ in range(runs):
        for name, command in workers.items():
            results[name].append(run(command))
    return {name: medians(some) for name, some in results.items()}


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
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tiles", action="store_true")
    given = parser.parse_args()
    found = {}
    for model in given.models:
        if given.tiles:
            keep_tiles(model)
        pair = compare(model, given.peer_python, given.runs, given.threads, given.depth)
        found[model.name] = pair
        show(model, pair)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
