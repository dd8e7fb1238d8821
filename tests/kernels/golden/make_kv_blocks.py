"""Remake kv_blocks.npz: rows of numbers quantised by ggml's own `quantize_row_*_ref`.

Needs llama-cpp-python 0.3.36, whose libggml-base it calls; run it as `python make_kv_blocks.py`.
The file holds `x` (F32[n, 32]) and, for each cache type that has blocks, its bytes (U8[n, bytes]).
"""

import ctypes
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
BYTES = {"q8_0": 34, "q4_0": 18, "q4_1": 20, "q5_0": 22, "q5_1": 24, "iq4_nl": 18}


def numbers() -> NDArray[np.float32]:
    """Draw normal numbers of different spread, some with an outlier: F32[100, 32]."""
    rng = np.random.default_rng(20240608)
    x = rng.normal(0, 1, (100, 32)) * np.exp(rng.uniform(-6, 6, (100, 1)))
    x[rng.random(x.shape) < 0.02] *= 6
    return x.astype(np.float32)


def load() -> ctypes.CDLL:
    """Load libggml-base from the llama_cpp package."""
    folder = Path(str(import_module("llama_cpp").__file__)).parent
    return ctypes.CDLL(str(folder / "lib" / "libggml-base.so"))


def quantize(lib: ctypes.CDLL, name: str, x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Quantise rows of 32 by ggml."""
    blocks = np.zeros((len(x), BYTES[name]), np.uint8)
    function = getattr(lib, f"quantize_row_{name}_ref")
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function.restype = None
    function(x.ctypes.data, blocks.ctypes.data, x.size)
    return blocks


def main() -> None:
    """Write the file."""
    lib, x = load(), numbers()
    arrays: dict[str, Any] = {name: quantize(lib, name, x) for name in BYTES}
    np.savez_compressed(HERE / "kv_blocks.npz", x=x, **arrays)


if __name__ == "__main__":
    main()
