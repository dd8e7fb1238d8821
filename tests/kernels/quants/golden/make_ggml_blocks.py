"""Remake ggml_blocks.npz: real-looking weights quantised and dequantised by ggml's own C code.

Needs llama-cpp-python 0.3.36, whose libggml-base it calls; run it as `python make_ggml_blocks.py`.
For each type the file holds `<type>.blocks` (U8[n, bytes]) and `<type>.y` (F32[n, elements]),
ggml's float32 values of those blocks. Q8_1 is missing: ggml has nothing that dequantises it.
"""

import ctypes
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
COLUMNS = 256
ROWS = 3

TYPES = {
    "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12,
    "q5_k": 13, "q6_k": 14, "iq2_xxs": 16, "iq2_xs": 17, "iq3_xxs": 18, "iq1_s": 19, "iq4_nl": 20,
    "iq3_s": 21, "iq2_s": 22, "iq4_xs": 23, "iq1_m": 29, "bf16": 30, "f16": 1, "tq1_0": 34,
    "tq2_0": 35, "mxfp4": 39, "nvfp4": 40, "q1_0": 41, "q2_0": 42,
}  # fmt: skip
Q8_K_BYTES = 292


class TypeTraits(ctypes.Structure):
    """`struct ggml_type_traits` of ggml.h."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float_ref", ctypes.c_void_p),
    )


def weights() -> NDArray[np.float32]:
    """Draw normal weights of different spread per row, with a few outliers: F32[ROWS, COLUMNS]."""
    rng = np.random.default_rng(20240607)
    values: NDArray[np.float64] = rng.normal(0, 0.02, (ROWS, COLUMNS))
    values *= np.array([[1.0], [0.05], [30.0]])
    values[rng.random(values.shape) < 0.01] *= 8
    return values.astype(np.float32)


def quantize(lib: ctypes.CDLL, kind: int, x: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """Quantise and dequantise one type by ggml."""
    traits = lib.ggml_get_type_traits(kind).contents
    blocks = np.zeros((x.size // traits.blck_size, traits.type_size), dtype=np.uint8)
    importance = np.ones(COLUMNS, dtype=np.float32)
    lib.ggml_quantize_chunk(
        kind, x.ctypes.data, blocks.ctypes.data, 0, ROWS, COLUMNS, importance.ctypes.data
    )
    y = np.empty((len(blocks), traits.blck_size), dtype=np.float32)
    traits.to_float(blocks.ctypes.data, y.ctypes.data, y.size)
    return {"blocks": blocks, "y": y}


def quantize_q8_k(lib: ctypes.CDLL, x: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
    """The same for Q8_K, which has no traits."""
    blocks = np.zeros((ROWS, Q8_K_BYTES), dtype=np.uint8)
    y = np.empty((ROWS, COLUMNS), dtype=np.float32)
    lib.quantize_row_q8_K_ref(x.ctypes.data, blocks.ctypes.data, ctypes.c_int64(x.size))
    lib.dequantize_row_q8_K(blocks.ctypes.data, y.ctypes.data, ctypes.c_int64(y.size))
    return {"blocks": blocks, "y": y}


def load() -> ctypes.CDLL:
    """Load libggml-base from the llama_cpp package and declare what is called."""
    lib = ctypes.CDLL(
        str(Path(str(import_module("llama_cpp").__file__)).parent / "lib" / "libggml-base.so")
    )
    lib.ggml_get_type_traits.restype = ctypes.POINTER(TypeTraits)
    lib.ggml_quantize_chunk.argtypes = (
        [ctypes.c_int] + [ctypes.c_void_p] * 2 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    )
    for function in (lib.quantize_row_q8_K_ref, lib.dequantize_row_q8_K):
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return lib


def main() -> None:
    """Write the file."""
    lib, x = load(), weights()
    results = {name: quantize(lib, kind, x) for name, kind in TYPES.items()}
    results["q8_k"] = quantize_q8_k(lib, x)
    arrays: dict[str, Any] = {
        f"{name}.{key}": a for name, r in results.items() for key, a in r.items()
    }
    np.savez_compressed(HERE / "ggml_blocks.npz", **arrays)


if __name__ == "__main__":
    main()
