"""Restate llama.cpp's tests/test-sampling.cpp as data: make_sampling.py PATH > sampling.json.

`cases` are its probability vectors: a stage, its arguments, the probabilities before and after.
`queues` are its order properties: a row of 10000 logits ln(id) goes through top-k (k), top-p (p)
and min-p (m) in some order; after each stage a number of candidates with a highest and a lowest id
must be left, computed here by the integer formulas of that file.
"""

import ast
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

F32 = np.float32

# Stage: the names of its call's arguments, in order; `probs` and `expected` are the vectors.
ARGUMENTS = {
    "temp": "probs expected temperature",
    "temp_ext": "probs expected temperature spread exponent",
    "top_k": "probs expected k",
    "top_p": "probs expected p",
    "min_p": "probs expected p",
    "xtc": "probs expected probability threshold",
    "typical": "probs expected p",
    "penalties": "probs tokens expected repeat frequency presence",
    "dry": "probs tokens expected multiplier base allowed_length last_n breakers",
    "top_n_sigma": "probs expected n",
}
# These sort by falling probability; all others keep the order of ids.
SORTED = ("top_k", "top_p")
# These are checked there without a softmax after the filter.
NOT_NORMALISED = ("xtc", "typical")


def main(path: Path) -> None:
    source = path.read_text().partition("int main(void)")[2]
    parts = {"cases": cases(source), "queues": queues(source)}
    lists = [f'"{name}": [\n' + ",\n".join(map(json.dumps, part)) for name, part in parts.items()]
    sys.stdout.write("{\n" + "\n],\n".join(lists) + "\n]\n}\n")


def cases(source: str) -> Iterator[dict[str, Any]]:
    for name, arguments in calls(source):
        if name not in ARGUMENTS:
            continue
        values = dict(zip(ARGUMENTS[name].split(), arguments, strict=True))
        off = name in ("top_k", "top_p") and (values.get("k") == 0 or values.get("p") == 1)
        yield {
            "stage": name,
            "sorted": name in SORTED and not off,
            "normalised": name not in NOT_NORMALISED,
            **values,
        }


def queues(source: str) -> Iterator[dict[str, Any]]:
    for name, arguments in calls(source):
        if name != "sampler_queue":
            continue
        n, order, k, p, least = arguments
        steps = list(expected_steps(n, order, k, F32(p), F32(least)))
        yield {"n": n, "order": order, "k": k, "p": p, "min_p": least, "steps": steps}


def calls(source: str) -> Iterator[tuple[str, list[Any]]]:
    for name, arguments in re.findall(r"^ *test_(\w+)\((.+)\);", source, re.MULTILINE):
        text = re.sub(r"(?<=[\d.])f\b", "", arguments).replace("{", "[").replace("}", "]")
        parsed = ast.parse(f"[{text}]", mode="eval").body
        yield name, value(parsed)


def value(node: ast.AST) -> Any:
    if isinstance(node, ast.List):
        return [value(item) for item in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return value(node.left) / value(node.right)
    return ast.literal_eval(node)


def expected_steps(n: int, order: str, k: int, p: F32, least: F32) -> Iterator[list[int]]:
    """Yield [size, highest id, lowest id] after each stage."""
    size, lowest = n, 0
    for stage in order:
        if stage == "k":
            size, lowest = min(size, k), max(lowest, n - k)
        if stage == "p":
            size, lowest = after_top_p(n, lowest, p)
        if stage == "m":
            # Id 0 has probability 0: the first to go.
            lowest = min(max(math.floor(least * F32(n)), 1, lowest), n - 1)
            size = n - lowest
        yield [size, n - 1, lowest]


def after_top_p(n: int, lowest: int, p: F32) -> tuple[int, int]:
    mass = n * (n - 1) // 2 - lowest * (lowest - 1) // 2
    target = math.ceil(p * F32(mass))
    kept, running = n - 1, n - 1
    while running < target:
        kept -= 1
        running += kept
    # Id 0 has probability 0, and p = 1 switches the filter off.
    kept = 0 if kept == 1 else kept
    return n - kept, kept


if __name__ == "__main__":
    main(Path(sys.argv[1]))
