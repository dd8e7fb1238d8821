"""F32, F16 and BF16: 32 columns of 16 numbers, widened to float32 as they are read."""

from __future__ import annotations

from typing import Any

from ..simd import as_f32, load_f16x16, load_f32x16, load_u16x16, shift_left
from .codes import tile_format


def column_f32(unit: Any, c: int) -> Any:
    return load_f32x16(unit + 64 * c)


def column_f16(unit: Any, c: int) -> Any:
    return load_f16x16(unit + 32 * c)


def column_bf16(unit: Any, c: int) -> Any:
    return as_f32(shift_left(load_u16x16(unit + 32 * c), 16))


FLOATS = (
    tile_format("f32", 32, (0, 32, 4), in_order=True, column=column_f32),
    tile_format("f16", 32, (0, 32, 2), in_order=True, column=column_f16),
    tile_format("bf16", 32, (0, 32, 2), in_order=True, column=column_bf16),
)
