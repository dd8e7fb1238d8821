"""Goldens of the converter's quantizers: llama.cpp's own, on a whole file and on hard numbers.

    python make_quantized.py        (needs llama-cpp-python and this package)

Writes quantized.json. "file": what `llama_model_quantize` makes of a tiny model's F32 file, by
type, as in converted.json; its rows of 64 are too short for Q6_K, so the logits' matrix has Q8_0.
"rows": digests of `ggml_quantize_chunk` on `hard_rows`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint import hard_rows, write

HERE = Path(__file__).parent
TYPES = {"q4_0": (2, 2), "q4_1": (3, 3), "q5_0": (8, 6), "q5_1": (9, 7), "q8_0": (7, 8)}


def whole_file(source: Path, target: Path, file_type: int) -> list[list[Any]]:
    """Tensors' names, types, shapes and digests."""
    import llama_cpp

    from gnomon.formats.gguf import open_gguf

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params):
        raise RuntimeError(f"{source.name} was not quantized")
    with open_gguf(target) as file:
        return [
            [name, t.type.name.upper(), list(t.shape), digest(t.data.tobytes())]
            for name, t in file.tensors.items()
        ]


def quantized(rows: np.ndarray, type_: int, size: int) -> bytes:
    """`rows` by ggml, `size` bytes."""
    import llama_cpp

    (library,) = (Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so")
    function = ctypes.CDLL(str(library)).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    longs = [ctypes.c_int64] * 3
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *longs, ctypes.c_void_p]
    out = np.empty(size, np.uint8)
    done = function(type_, rows.ctypes.data, out.ctypes.data, 0, *rows.shape, None)
    if done != size:
        raise RuntimeError(f"{done} bytes, expected {size}")
    return out.tobytes()


def digest(data: bytes) -> str:
    """As in make_convert.py."""
    return hashlib.sha256(data).hexdigest()[:20]


def main() -> None:
    from gnomon.engine.convert import convert
    from gnomon.formats.ggml_types import BY_NAME

    found: dict[str, Any] = {"file": {}, "rows": {}}
    rows = hard_rows()
    with tempfile.TemporaryDirectory() as place:
        folder, source, target = (Path(place) / name for name in ("tiny", "in.gguf", "out.gguf"))
        write(folder, "llama")
        convert(folder, source, "f32")
        for name, (file_type, type_) in TYPES.items():
            block = BY_NAME[name]
            size = rows.size // block.elements * block.bytes
            found["file"][name] = whole_file(source, target, file_type)
            found["rows"][name] = digest(quantized(rows, type_, size))
    lines = json.dumps(found, separators=(",", ":")).replace('],["', '],\n["')
    (HERE / "quantized.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
