"""Ops carried out at once by the NumPy twins, in float64 throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.gguf import TensorInfo
from .attention import Shape, attention_ref
from .elementwise import GATES, soft_cap_ref
from .kv_pages import Region, store_kv_ref
from .matmul import matmul_ref
from .ops import Angles, Spans, embedding_rows
from .quants.table import dequantize
from .rms_norm import rms_norm_ref
from .rope import rope_ref

F64, I64 = NDArray[np.float64], NDArray[np.int64]


class TwinOps:
    """float64 mode: plain, slow, and what the kernels are compared with."""

    number = np.float64

    def matrix(self, tensor: TensorInfo) -> NDArray[np.float32]:
        return dequantize(tensor.data, tensor.type, tensor.shape)

    def vector(self, tensor: TensorInfo) -> F64:
        return dequantize(tensor.data, tensor.type, tensor.shape).astype(np.float64)

    def embed(self, tensor: TensorInfo, tokens: I64) -> F64:
        return embedding_rows(tensor, tokens).astype(np.float64)

    def matmul(self, weight: NDArray[np.float32], x: F64, fine: bool = False) -> F64:
        out = np.empty((len(x), len(weight)))
        matmul_ref(weight, x, out)
        return out

    def rms_norm(self, x: F64, weight: F64 | None, eps: float) -> F64:
        return rms_norm_ref(x, weight, eps)

    def rope(self, x: F64, angles: Angles) -> F64:
        return rope_ref(x, angles.cos, angles.sin, angles.halves)

    def attend(
        self, qkv: tuple[F64, F64, F64], positions: I64, spans: Spans, region: Region, shape: Shape
    ) -> F64:
        q, key, value = qkv
        store_kv_ref(key, value, spans.tables, positions, region)
        out = attention_ref(q, spans.tables, spans.rows[:, 1:], region, shape)
        return out.reshape(len(q), -1)

    def add(self, x: F64, y: F64) -> F64:
        return x + y

    def multiply(self, x: F64, y: F64) -> F64:
        return x * y

    def scale(self, x: F64, number: float) -> F64:
        return x * number

    def soft_cap(self, x: F64, cap: float) -> F64:
        return soft_cap_ref(x, cap)

    def gate(self, kind: str, x: F64, y: F64) -> F64:
        return GATES[kind][0](x) * y

    def take(self, x: F64, rows: I64) -> F64:
        return x[rows]

    def twin(self, function: Callable[..., Any], shape: Sequence[int], *inputs: F64) -> F64:
        return np.asarray(function(*inputs), np.float64).reshape(shape)
