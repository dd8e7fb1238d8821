"""TQ1_0 and TQ2_0: digits 0..2, less one, with one float16 scale per 256 columns.

TQ2_0 holds a digit in two bits, TQ1_0 five in a byte (see `kernels/quants/tq1_0.py`).
"""

from __future__ import annotations

from typing import Any

from .._jit import inline
from ..simd import load_i32x16, unrolled
from .codes import CODES, in_place, places, tile_format
from .lanes import digits_3, header_f16x16

POWERS = (1, 3, 9, 27, 81)
PACKED = sum(power << 8 * i for i, power in enumerate(POWERS))  # indices are checked, shifts not


@inline
def unpack_tq2_0(unit, block):
    scale = header_f16x16(unit + 1024)
    codes, unit_of = places(unit + 512 * (block >> 2), 2 * (block & 3), 2)
    return codes, (scale * unit_of,), (scale,)


@unrolled(lambda first, power, second, power_2: CODES)
def two_runs(first: Any, power: Any, second: Any, power_2: Any) -> Any:
    """Columns 0..15: a digit of four vectors at `first`; 16..31: a digit of those at `second`."""
    low = [digits_3(load_i32x16(first + 64 * g), power) for g in range(4)]
    return (*low, *[digits_3(load_i32x16(second + 64 * g), power_2) for g in range(4)])


@unrolled(lambda first, last: CODES)
def last_run(first: Any, last: Any) -> Any:
    """Columns 0..15: the fifth digit of four vectors; 16..31: four digits of one vector."""
    low = [digits_3(load_i32x16(first + 64 * g), 81) for g in range(4)]
    rest = load_i32x16(last)
    return (*low, *[digits_3(rest, power) for power in POWERS[:4]])


@inline
def unpack_tq1_0(unit, block):
    scale = (header_f16x16(unit + 832),)
    if block < 5:
        power = PACKED >> 8 * block & 255
        return two_runs(unit, power, unit + 256, power), scale, scale
    if block < 7:
        power = 1 if block == 5 else 9
        return two_runs(unit + 512, power, unit + 512, 3 * power), scale, scale
    return last_run(unit + 512, unit + 768), scale, scale


TQ1_0 = ((0, 8, 4), (32, 4, 4), (48, 1, 4), (52, 1, 2))
TQ2_0 = ((0, 16, 4), (64, 1, 2))

TERNARY = (
    tile_format("tq1_0", 256, *TQ1_0, unpack=unpack_tq1_0, top=2),
    tile_format("tq2_0", 256, *TQ2_0, unpack=unpack_tq2_0, code=in_place, top=8, interleaved=4),
)
