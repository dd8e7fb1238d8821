"""The operations a forward pass is written in, and the two ways to carry them out.

    TwinOps   "float64": every operation at once, by its NumPy twin
    TapeOps   "int8", "float32": operations are recorded on a tape and run by the thread team

Both take and return arrays [rows, ...]; an operation never changes its inputs. An operation without a kernel
is its twin in both (`twin`), run in float64 on the host, so a model works before it is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..formats.gguf import TensorInfo
from .attention import Shape
from .kv_pages import Region
from .quants.table import dequantize
from .spans import Spans

Array = NDArray[Any]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Angles:
    """Cosine and sine of each row's position, [rows, n]; how many numbers turn and how they pair."""

    cos: Array
    sin: Array
    halves: bool


class Ops(Protocol):
    """What `engine.forward` and its blocks may call."""

    def matrix(self, tensor: TensorInfo) -> Any:
        """Load a weight [n, k] in the form that `matmul` reads."""

    def vector(self, tensor: TensorInfo) -> Array:
        """Load a norm weight or a bias."""

    def embed(self, tensor: TensorInfo, tokens: I64) -> Array:
        """Rows of an embedding table, dequantised: [rows, dim]."""

    def matmul(self, weight: Any, x: Array, fine: bool = False) -> Array:
        """x [rows, k] times a weight's transpose: [rows, n].

        `fine` asks for 16 bits where activations are rounded to 8: the logits decide a token.
        """

    def rms_norm(self, x: Array, weight: Array | None, eps: float) -> Array:
        """Over the last axis of [..., dim]."""

    def rope(self, x: Array, angles: Angles) -> Array:
        """Rotate x [rows, heads, dim]."""

    def attend(
        self,
        qkv: tuple[Array, Array, Array],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
    ) -> Array:
        """Store this step's keys and values, then attend: [rows, heads * value dim]."""

    def add(self, x: Array, y: Array) -> Array:
        """x + y; y may be one row [dim]."""

    def multiply(self, x: Array, y: Array) -> Array:
        """x * y; y may be one row [dim]."""

    def scale(self, x: Array, number: float) -> Array:
        """x * number."""

    def soft_cap(self, x: Array, cap: float) -> Array:
        """cap * tanh(x / cap)."""

    def gate(self, kind: str, x: Array, y: Array) -> Array:
        """activation(x) * y."""

    def take(self, x: Array, rows: I64) -> Array:
        """Some rows of x."""

    def twin(self, function: Callable[..., Array], shape: Sequence[int], *inputs: Array) -> Array:
        """function(*inputs) -> [shape], computed on the host from float64 copies."""


def embedding_rows(tensor: TensorInfo, tokens: I64) -> NDArray[np.float32]:
    """Rows `tokens` of a table [vocabulary, dim], float32 [rows, dim]."""
    table = tensor.data.reshape(tensor.shape[0], -1)
    rows = table[np.asarray(tokens)]
    return dequantize(rows.reshape(-1), tensor.type, (len(tokens), tensor.shape[1]))
