"""Ops carried out at once by the NumPy twins, in float64 throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.gguf import TensorInfo
from .attention import Shape, attention_ref
from .decay import decay_ref
from .elementwise import ACTIVATIONS, GATES, soft_cap_ref
from .experts import combine_ref, experts_ref, spread_ref
from .kv_pages import Region, store_kv_ref
from .layer_norm import layer_norm_ref
from .matmul import matmul_ref
from .ops import Angles, Spans, embedding_rows
from .quants.byte_order import little_endian
from .quants.table import dequantize
from .recurrence import Recurrence, State, run_formula
from .rms_norm import rms_norm_ref
from .rope import rope_ref
from .router import Routing, route_ref
from .sparse_attention import Choice, Indexer, choose, index_region, sparse_attention_ref

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class TwinOps:
    """float64 mode: plain, slow, and what the kernels are compared with."""

    number = np.float64

    def matrix(self, tensor: TensorInfo) -> NDArray[np.float32]:
        return dequantize(little_endian(tensor), tensor.type, tensor.shape)

    def vector(self, tensor: TensorInfo) -> F64:
        return dequantize(little_endian(tensor), tensor.type, tensor.shape).astype(np.float64)

    def embed(self, tensor: TensorInfo, tokens: I64) -> F64:
        return embedding_rows(tensor, tokens).astype(np.float64)

    def matmul(self, weight: NDArray[np.float32], x: F64, fine: bool = False) -> F64:
        out = np.empty((len(x), len(weight)))
        matmul_ref(weight, x, out)
        return out

    def rms_norm(self, x: F64, weight: F64 | None, eps: float) -> F64:
        return rms_norm_ref(x, weight, eps)

    def layer_norm(self, x: F64, weight: F64 | None, bias: F64 | None, eps: float) -> F64:
        return layer_norm_ref(x, weight, bias, eps)

    def experts(self, weight: NDArray[np.float32], x: F64, ids: F64) -> F64:
        shape = (*ids.shape, x.shape[-1])
        return experts_ref(weight, np.broadcast_to(x[:, None] if x.ndim == 2 else x, shape), ids)

    def add_chosen(self, x: F64, table: F64, ids: F64) -> F64:
        return x + table[ids.astype(np.int64)]

    def combine(self, x: F64, weights: F64 | None) -> F64:
        return combine_ref(x, weights)

    def spread(self, x: F64, weights: F64 | None, slots: int) -> F64:
        return spread_ref(x, weights, slots)

    def route(
        self, rule: Routing, logits: F64, bias: F64 | None, factors: F64 | None
    ) -> tuple[F64, F64]:
        return route_ref(rule, logits, bias, factors)

    def rope(self, x: F64, angles: Angles) -> F64:
        return rope_ref(x, angles.cos, angles.sin, angles.halves)

    def attend(
        self,
        qkv: tuple[F64, F64, F64],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        sinks: F64 | None = None,
        slopes: F64 | None = None,
    ) -> F64:
        q, key, value = qkv
        store_kv_ref(key, value, spans.tables, positions, region)
        out = attention_ref(q, spans.tables, spans.rows[:, 1:], region, shape, sinks, slopes)
        return out.reshape(len(q), -1)

    def store(self, key: F64, value: F64, positions: I64, spans: Spans, region: Region) -> None:
        store_kv_ref(key, value, spans.tables, positions, region)

    def look(self, q: F64, spans: Spans, region: Region, shape: Shape) -> F64:
        out = attention_ref(q, spans.tables, spans.rows[:, 1:], region, shape)
        return out.reshape(len(q), -1)

    def choose(self, indexer: Indexer, positions: I64, spans: Spans, region: Region) -> Choice:
        choice = Choice()
        choose(indexer, positions, spans, index_region(region), choice)
        return choice

    def attend_chosen(
        self,
        qkv: tuple[F64, F64, F64],
        positions: I64,
        spans: Spans,
        region: Region,
        shape: Shape,
        choice: Choice,
        sinks: F64 | None = None,
    ) -> F64:
        q, key, value = qkv
        store_kv_ref(key, value, spans.tables, positions, region)
        out = sparse_attention_ref(q, spans, region, shape.scale, choice, sinks)
        return out.reshape(len(q), -1)

    def add(self, x: F64, y: F64) -> F64:
        return x + y

    def multiply(self, x: F64, y: F64) -> F64:
        return x * y

    def scale(self, x: F64, number: float) -> F64:
        return x * number

    def soft_cap(self, x: F64, cap: float) -> F64:
        return soft_cap_ref(x, cap)

    def gate(self, kind: str, x: F64, y: F64, limit: float = 0.0) -> F64:
        return GATES[kind][0](x, y, limit)

    def activate(self, kind: str, x: F64) -> F64:
        return ACTIVATIONS[kind][0](x)

    def clip(self, x: F64, limit: float) -> F64:
        return np.clip(x, -limit, limit)

    def join(self, x: F64, y: F64) -> F64:
        return np.concatenate([x, y], axis=1)

    def columns(self, x: F64, start: int, stop: int) -> F64:
        return x[:, start:stop].copy()

    def take(self, x: F64, rows: I64) -> F64:
        return x[rows]

    def decay(self, x: F64, dt: F64, a: F64, bound: float, sign: float) -> F64:
        return decay_ref(x, dt, a, bound, sign)

    def recur(
        self,
        recurrence: Recurrence,
        shape: Sequence[int],
        state: State,
        inputs: Sequence[F64],
        weights: Sequence[Any],
    ) -> F64:
        out = np.empty(tuple(shape))
        run_formula(recurrence.formula, np.float64, state, inputs, weights, out)
        return out

    def twin(self, function: Callable[..., Any], shape: Sequence[int], *inputs: F64) -> F64:
        return np.asarray(function(*inputs), np.float64).reshape(shape)
