"""Write a model of random weights with layers that predict tokens ahead, to time their drafts.

    python -m benchmarks.make_nextn PATH [--nextn 1] [--type q4_0] [--width 2048] [--layers 16] ...

A glm4moe without experts: the matrices, sizes and tokenizer are make_model's, and so are the layers
ahead, each with its projection; head and embedding are the model's. Needs the `gguf` package.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from gnomon.formats.ggml_types import BY_NAME

from .make_model import SEED, Size, add_sizes, add_tokenizer, draw, matrices


def all_matrices(size: Size, ahead: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, in file order; the last `ahead` of the layers have a projection."""
    yield from matrices(size)
    for layer in range(size.layers - ahead, size.layers):
        yield f"blk.{layer}.nextn.eh_proj", (size.width, 2 * size.width)


def norms(size: Size, ahead: int) -> Iterator[str]:
    """Names of the norms."""
    yield "output_norm"
    for layer in range(size.layers):
        yield f"blk.{layer}.attn_norm"
        yield f"blk.{layer}.post_attention_norm"
    for layer in range(size.layers - ahead, size.layers):
        for norm in ("enorm", "hnorm", "shared_head_norm"):
            yield f"blk.{layer}.nextn.{norm}"


def make_nextn(path: Path, kind: str, size: Size, ahead: int) -> None:
    """Write the model: `size`, and behind its layers `ahead` more.

    Exits with a message if rows are not whole blocks of `kind`.
    """
    size = replace(size, layers=size.layers + ahead)
    block, raw = BY_NAME[kind], GGMLQuantizationType[kind.upper()]
    if any(shape[-1] % block.elements for _, shape in matrices(size)):
        raise SystemExit(f"{kind}: rows must be multiples of {block.elements} weights")
    writer = GGUFWriter(path, "glm4moe")
    add_sizes(writer, size)
    writer.add_nextn_predict_layers(ahead)
    add_tokenizer(writer, size.vocabulary)
    for name, shape in all_matrices(size, ahead):
        stored = (*shape[:-1], shape[-1] // block.elements * block.bytes)
        number = np.dtype(np.uint8)
        writer.add_tensor_info(f"{name}.weight", stored, number, math.prod(stored), raw_dtype=raw)
    for name in norms(size, ahead):
        number = np.dtype(np.float32)
        writer.add_tensor_info(f"{name}.weight", (size.width,), number, 4 * size.width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(SEED)
    for _, shape in all_matrices(size, ahead):
        writer.write_tensor_data(draw(kind, math.prod(shape), rng).reshape(shape[0], -1))
    for _ in norms(size, ahead):
        writer.write_tensor_data(np.ones(size.width, np.float32))
    writer.close()


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path)
    parser.add_argument("--nextn", type=int, default=1)
    parser.add_argument("--type", default="q4_0", choices=sorted(BY_NAME), metavar="TYPE")
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    given = vars(parser.parse_args())
    path, kind, ahead = given.pop("path"), given.pop("type"), given.pop("nextn")
    make_nextn(path, kind, Size(**given), ahead)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB of {kind}")


if __name__ == "__main__":
    main()
