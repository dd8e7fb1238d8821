"""The operations a forward pass is written in, and the two ways to carry them out.

    TwinOps   "float64": every operation at once, by its NumPy twin
    TapeOps   "int8", "float32": operations are recorded on a tape and run by the thread team

Both take and return arrays [rows, ...]; an operation never changes its inputs. An operation without
a kernel is its twin in both (`twin`), run in float64 on the host, so a model works before it is
fast.
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
from .quants.byte_order import swapped
from .quants.table import dequantize
from .recurrence import Recurrence, State
from .router import Routing
from .spans import Spans
from .sparse_attention import Choice, Indexer

Array = NDArray[Any]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Angles:
    """Cosine and sine of each row's position, [rows, n], and how numbers pair."""

    cos: Array
    sin: Array
    halves: bool

    def in_halves(self) -> Angles:
        """The same angles for pairs of halves."""
        return Angles(self.cos, self.sin, True)


class Ops(Protocol):
    """What `engine.forward` and its blocks may call; `number` is the type of what it computes."""

    number: Any

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

    def layer_norm(self, x: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
        """Over the last axis of [..., dim]."""

    def experts(self, weight: Any, x: Array, ids: Array) -> Array:
        """Each row's chosen weights of a stack: x [rows, k] or [rows, slots, k] -> [rows, slots,
        n].
        """

    def add_chosen(self, x: Array, table: Array, ids: Array) -> Array:
        """x [rows, slots, n] plus rows `ids` [rows, slots] of a table [count, n]."""

    def combine(self, x: Array, weights: Array | None) -> Array:
        """The sum over slots of x [rows, slots, n], times weights [rows, slots] if given: [rows,
        n].
        """

    def spread(self, x: Array, weights: Array | None, slots: int) -> Array:
        """x [rows, n] once per slot, times weights [rows, slots] if given: [rows, slots, n]."""

    def route(
        self, rule: Routing, logits: Array, bias: Array | None, factors: Array | None
    ) -> tuple[Array, Array]:
        """Ids of each row's experts, best first, and their weights: [rows, used] each.

        `bias` [experts] joins scores as they are compared; `factors` [experts] multiply weights.
        """

    def rope(self, x: Array, angles: Angles) -> Array:
        """Rotate x [rows, heads, dim]."""

    def attend(
        self,
        qkv: tuple[Array, Array, Array],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        sinks: Array | None = None,
        slopes: Array | None = None,
    ) -> Array:
        """Store this step's keys and values, then attend: [rows, heads * value dim].

        A head's sink joins its softmax; its slope times the distance is added to scores.
        """

    def store(self, key: Array, value: Array, positions: I64, spans: Spans, region: Region) -> None:
        """Store this step's keys and values [rows, kv heads, dim], for `look` or a twin."""

    def look(self, q: Array, spans: Spans, region: Region, shape: Shape) -> Array:
        """Attend with q [rows, heads, key dim] to what is stored: [rows, heads * value dim]."""

    def choose(self, indexer: Indexer, positions: I64, spans: Spans, region: Region) -> Choice:
        """Store this step's index keys and choose each row's keys by them."""

    def attend_chosen(
        self,
        qkv: tuple[Array, Array, Array],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        choice: Choice,
        sinks: Array | None = None,
    ) -> Array:
        """As `attend`, over the chosen keys."""

    def add(self, x: Array, y: Array) -> Array:
        """x + y; y may be one row [dim]."""

    def multiply(self, x: Array, y: Array) -> Array:
        """x * y; y may be one row [dim]."""

    def scale(self, x: Array, number: float) -> Array:
        """x * number."""

    def soft_cap(self, x: Array, cap: float) -> Array:
        """cap * tanh(x / cap)."""

    def gate(self, kind: str, x: Array, y: Array, limit: float = 0.0) -> Array:
        """activation(x) * y; some kinds clip at a limit."""

    def activate(self, kind: str, x: Array) -> Array:
        """activation(x)."""

    def clip(self, x: Array, limit: float) -> Array:
        """x, cut to -limit .. limit."""

    def join(self, x: Array, y: Array) -> Array:
        """[rows, n] beside [rows, m]: [rows, n + m]."""

    def columns(self, x: Array, start: int, stop: int) -> Array:
        """Columns of x [rows, n], as an array of their own."""

    def take(self, x: Array, rows: I64) -> Array:
        """Some rows of x."""

    def decay(self, x: Array, dt: Array, a: Array, bound: float, sign: float) -> Array:
        """What a delta rule's state is multiplied by: [rows, heads * n] -> [rows, heads, n]."""

    def recur(
        self,
        recurrence: Recurrence,
        shape: Sequence[int],
        state: State,
        inputs: Sequence[Array],
        weights: Sequence[Array | float | None],
    ) -> Array:
        """Take every row's sequence one token on: inputs [rows, ...] -> [shape]."""

    def twin(self, function: Callable[..., Array], shape: Sequence[int], *inputs: Array) -> Array:
        """function(*inputs) -> [shape], computed on the host from float64 copies."""


def embedding_rows(tensor: TensorInfo, tokens: I64) -> NDArray[np.float32]:
    """Rows `tokens` of a table [vocabulary, dim], float32 [rows, dim]."""
    rows = tensor.data.reshape(tensor.shape[0], -1)[tokens].reshape(-1)
    if tensor.byte_order != "little":
        rows = swapped(rows, tensor.type)
    return dequantize(rows, tensor.type, (len(tokens), tensor.shape[1]))
