"""Open a GGUF file and decode every string: gnomon's reader beside the `gguf` package's.

    PYTHONPATH=. python benchmarks/bench_gguf.py MODEL.gguf...

Prints milliseconds, pages warm: the median of 5 for gnomon, one run for `gguf` (GGUFReader, then
`contents()` of every string field), and their ratio. GGUFReader needs seconds per file.
"""

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from gguf import GGUFReader, GGUFValueType

from gnomon.formats.gguf import open_gguf

RUNS = 5


def gnomon_reads(path: Path) -> int:
    """Open `path` and return how many strings it holds; opening decodes them all."""
    with open_gguf(path) as file:
        values = file.metadata.values()
        return sum(len(v) if isinstance(v, list) else isinstance(v, str) for v in values)


def gguf_reads(path: Path) -> int:
    """Do the same with the `gguf` package."""
    strings = 0
    for field in GGUFReader(path).fields.values():
        if field.types[-1:] == [GGUFValueType.STRING]:
            contents = field.contents()
            strings += len(contents) if isinstance(contents, list) else 1
    return strings


def milliseconds(reads: Callable[[Path], int], path: Path) -> tuple[float, int]:
    """Time one read of `path`; return also what it counted."""
    start = time.perf_counter()
    strings = reads(path)
    return (time.perf_counter() - start) * 1e3, strings


def main(paths: list[Path]) -> None:
    """Print one row per file."""
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"{'file':44} {'strings':>8} {'gnomon ms':>10} {'gguf ms':>10} {'ratio':>7}")
    for path in paths:
        path.read_bytes()
        runs = [milliseconds(gnomon_reads, path) for _ in range(RUNS)]
        ours = median(time_ms for time_ms, _ in runs)
        theirs, strings = milliseconds(gguf_reads, path)
        if strings != runs[0][1]:
            raise SystemExit(f"{path}: gnomon found {runs[0][1]} strings, gguf {strings}")
        print(f"{path.name:44} {strings:8} {ours:10.1f} {theirs:10.0f} {theirs / ours:7.0f}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
