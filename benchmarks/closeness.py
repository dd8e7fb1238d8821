"""How far int8 products are from exact ones, by type, beside llama.cpp's: |a - b|^2 / |b|^2.

    python -m benchmarks.closeness MODEL [TYPE...] [--ggml FOLDER]

Weights are the model's first feed-forward down matrix, quantised anew by ggml to each type;
activations are what reaches it when embeddings of 64 tokens go through the norm and the gate.
FOLDER holds libggml-base.so and libggml-cpu.so (llama_cpp/lib of llama-cpp-python); without it
weights are random blocks and there is no peer. Types whose blocks do not divide the rows are left
out.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.formats.ggml_types import BY_NAME, Block
from gnomon.formats.gguf import GGUFFile, TensorInfo, open_gguf
from gnomon.kernels.matmul import matmul_ref
from gnomon.kernels.ops import embedding_rows
from gnomon.kernels.pool import Pool
from gnomon.kernels.quants.random_blocks import SMALLEST, random_blocks
from gnomon.kernels.quants.table import dequantize
from gnomon.kernels.team import team
from gnomon.kernels.tiles.formats import FORMATS
from gnomon.kernels.tiles.load import load_tiles

from .products import prepared_product

F32, F64, U8 = NDArray[np.float32], NDArray[np.float64], NDArray[np.uint8]
TOKENS, OUTPUTS = 64, 256


class Traits(ctypes.Structure):
    """ggml_type_traits_cpu of ggml-cpu.h."""

    _fields_ = (
        ("from_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        (
            "vec_dot",
            ctypes.CFUNCTYPE(
                None, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p,
                ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
            ),
        ),
        ("vec_dot_type", ctypes.c_int),
        ("nrows", ctypes.c_int64),
    )  # fmt: skip


class Ggml:
    """llama.cpp's quantisers and dot products, called one by one."""

    def __init__(self, folder: Path) -> None:
        self._base = ctypes.CDLL(str(folder / "libggml-base.so"), ctypes.RTLD_GLOBAL)
        cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"))
        cpu.ggml_cpu_init()
        self._traits = cpu.ggml_get_type_traits_cpu
        self._traits.restype = ctypes.POINTER(Traits)
        self._quantize = self._base.ggml_quantize_chunk
        self._quantize.restype = ctypes.c_size_t

    def quantize(self, weight: F32, block: Block) -> U8:
        """weight [n, k] -> the type's blocks, all columns of the same importance."""
        rows, columns = weight.shape
        out = np.zeros(weight.size // block.elements * block.bytes, np.uint8)
        importance = np.ones(columns, np.float32)
        self._quantize(
            block.id, *_pointers(weight, out), ctypes.c_int64(0), ctypes.c_int64(rows),
            ctypes.c_int64(columns), *_pointers(importance),
        )  # fmt: skip
        return out

    def product(self, blocks: U8, block: Block, x: F32, outputs: int) -> F32 | None:
        """x [rows, k] times the blocks' transpose: [rows, outputs]; None if ggml has no product."""
        traits = self._traits(block.id).contents
        kind = next(b for b in BY_NAME.values() if b.id == traits.vec_dot_type)
        if not traits.vec_dot:
            return None
        columns, out = x.shape[1], np.zeros((len(x), outputs), np.float32)
        weight_rows = blocks.reshape(outputs, -1)
        for i, row in enumerate(x):
            held = row.copy().view(np.uint8)
            if kind.name != "f32":
                held = np.zeros(columns // kind.elements * kind.bytes, np.uint8)
                self._traits(kind.id).contents.from_float(*_pointers(row, held), columns)
            for n, weight in enumerate(weight_rows):
                to = out.ctypes.data + 4 * (i * outputs + n)
                traits.vec_dot(columns, to, 0, weight.ctypes.data, 0, held.ctypes.data, 0, 1)
        return out


def _pointers(*arrays: NDArray[Any]) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(array.ctypes.data) for array in arrays]


def rows_of(file: GGUFFile) -> tuple[F32, F32]:
    """The first down matrix [OUTPUTS, k], and activations that reach it [TOKENS, k]."""

    def tensor(name: str) -> F64:
        found = file.tensors[f"blk.0.{name}.weight"]
        return dequantize(found.data, found.type, found.shape).astype(np.float64)

    embedding = file.tensors["token_embd.weight"]
    tokens = np.arange(1000, 1000 + 100 * TOKENS, 100) % embedding.shape[0]
    x = embedding_rows(embedding, tokens).astype(np.float64)
    x = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6) * tensor("ffn_norm")
    gate, up = x @ tensor("ffn_gate").T, x @ tensor("ffn_up").T
    return (
        tensor("ffn_down")[:OUTPUTS].astype(np.float32),
        (gate / (1 + np.exp(-gate)) * up).astype(np.float32),
    )


def error(product: F32, exact: F64) -> float:
    """sum((a - b)^2) / sum(b^2)."""
    return float(np.sum((product - exact) ** 2) / np.sum(exact**2))


def closeness(kind: str, weight: F32, x: F32, ggml: Ggml | None) -> tuple[float, float | None]:
    """Our error and llama.cpp's on the same blocks."""
    block, shape = BY_NAME[kind], (len(weight), weight.shape[1])
    if ggml is None:
        count = weight.size // block.elements
        blocks = random_blocks(block, count, np.random.default_rng(1), largest=SMALLEST).ravel()
    else:
        blocks = ggml.quantize(weight, block)
    exact = np.zeros((len(x), len(weight)))
    matmul_ref(dequantize(blocks, block, shape), x.astype(np.float64), exact)
    tiles = load_tiles(TensorInfo(kind, block, shape, blocks, "little"), 1)
    tape, ours = prepared_product(Pool(), tiles, x, True, 1)
    with team().lock:
        tape.run(team(), 1)
    theirs = None if ggml is None else ggml.product(blocks, block, x, len(weight))
    return error(ours, exact), None if theirs is None else error(theirs, exact)


def main() -> None:
    """Print a line per type."""
    integer = [name for name, form in FORMATS.items() if form.integer]
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("types", nargs="*", default=integer)
    parser.add_argument("--ggml", type=Path)
    given = parser.parse_args()
    ggml = Ggml(given.ggml) if given.ggml else None
    with open_gguf(given.model) as file:
        weight, x = rows_of(file)
    print(f"{'type':8} {'gnomon':>10} {'llama.cpp':>10} {'ratio':>7}")
    for kind in given.types:
        if weight.shape[1] % BY_NAME[kind].elements:
            continue
        ours, theirs = closeness(kind, weight, x, ggml)
        peer = f"{theirs:10.2e} {ours / theirs:7.2f}" if theirs else ""
        print(f"{kind:8} {ours:10.2e} {peer}", flush=True)


if __name__ == "__main__":
    main()
