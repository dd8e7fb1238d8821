"""F32, F16 and BF16: 32 columns of 16 numbers, widened to float32 as they are read."""

from __future__ import annotations

from typing import Any

from ..simd import (
    as_f32,
    f32x16,
    load_f16x16,
    load_f32x16,
    load_u16x16,
    shift_left,
    unrolled,
)
from .codes import tile_format

COLUMNS = (f32x16,) * 32


@unrolled(lambda unit: COLUMNS)
def columns_f32(unit: Any) -> Any:
    return tuple(load_f32x16(unit + 64 * c) for c in range(32))


@unrolled(lambda unit: COLUMNS)
def columns_f16(unit: Any) -> Any:
    return tuple(load_f16x16(unit + 32 * c) for c in range(32))


@unrolled(lambda unit: COLUMNS)
def columns_bf16(unit: Any) -> Any:
    return tuple(as_f32(shift_left(load_u16x16(unit + 32 * c), 16)) for c in range(32))


FLOATS = (
    tile_format("f32", 32, (0, 32, 4), columns_of=columns_f32),
    tile_format("f16", 32, (0, 32, 2), columns_of=columns_f16),
    tile_format("bf16", 32, (0, 32, 2), columns_of=columns_bf16),
)
