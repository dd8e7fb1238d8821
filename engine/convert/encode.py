"""A tensor's numbers as they stand in the file, a part at a time.

Blocks are those of gguf's quantizers: ggml's bits, but for the sign of a zero scale where -0 is a
weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...formats.errors import SafetensorsError
from ..archs.checkpoints import Change
from .plan import Plan

F32 = NDArray[np.float32]
AT_ONCE = 1 << 24  # numbers that are float32 at a time
MOST_F16 = 65504.0


def encoded_bytes(plan: Plan) -> int:
    """How many bytes the tensor takes."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[plan.type.upper()]]
    return math.prod(plan.source.shape) // elements * size


def encoded(plan: Plan) -> NDArray[np.uint8]:
    """The tensor's bytes. Raises SafetensorsError if F16 cannot hold its numbers."""
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    kind = GGMLQuantizationType[plan.type.upper()]
    out = np.empty(encoded_bytes(plan), np.uint8)
    end = 0
    for part in _parts(plan):
        if plan.type == "f16" and np.abs(part).max(initial=0) > MOST_F16:
            most = np.abs(part).max()
            raise SafetensorsError(f"{plan.name}: numbers up to {most:g}, F16 ends at {MOST_F16:g}")
        data: NDArray[Any] = np.ascontiguousarray(quantize(part, kind)).reshape(-1).view(np.uint8)
        out[end : end + len(data)] = data
        end += len(data)
    return out


def _parts(plan: Plan) -> Iterator[F32]:
    """The changed numbers; by rows, but all at once where a change moves rows."""
    shape = plan.source.shape
    if len(shape) < 2 or plan.change is Change.PAIRS:
        yield _changed(plan, plan.source.float32())
        return
    step = max(1, AT_ONCE // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], step):
        yield _changed(plan, plan.source.float32(start, start + step))


def _changed(plan: Plan, x: F32) -> F32:
    if plan.change is Change.PLUS_ONE:
        return x + np.float32(1)
    if plan.change is Change.PAIRS:
        halves = x.reshape(plan.heads, 2, -1, *x.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(x.shape)
    return x
