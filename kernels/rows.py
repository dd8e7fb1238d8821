"""One row's vector or four rows' at once: what each row is reduced to, in lanes 4i to 4i + 3 of one
vector (a single row's in all lanes).

The first of a row's lanes has the bits of `simd.sum_lanes` and `max_lanes`: the tree is the same,
16 = 8 + 8, 8 = 4 + 4, 4 = 2 + 2, 2 = 1 + 1. In its last steps one shuffle serves all four rows, and
what is computed from the results is computed for the four at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from .simd import (
    at,
    isplat,
    isum_lanes,
    max_lanes,
    splat,
    store_f32,
    store_i32,
    sum_lanes,
    vmax,
)
from .trace import I16, I32, LANES, bool16, f32, f32x16, i32, i32x16, i64, primitive, void

FOUR = 4
FIRSTS = range(0, LANES, FOUR)


def _pick(b: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    """Lanes of x and y, y's counted from 16 on; of NumPy vectors where there is no builder."""
    if b is None:
        return np.concatenate([x, y])[list(lanes)]
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))


def _halved(b: Any, combine: Any, x: Any, y: Any, half: int) -> Any:
    """The halves of each piece of 2 * half lanes combined: x's results, then y's."""
    lows = [k for k in range(2 * LANES) if k // half % 2 == 0]
    return combine(b, _pick(b, x, y, lows), _pick(b, x, y, [k + half for k in lows]))


def _four(kind: Any, combine: Callable[[Any, Any, Any], Any], name: str) -> Any:
    """The primitive that reduces four vectors."""

    def reduce(b: Any, x: Any, y: Any, z: Any, w: Any) -> Any:
        early, late = _halved(b, combine, x, y, 8), _halved(b, combine, z, w, 8)
        quads = _halved(b, combine, early, late, 4)
        for step in (2, 1):
            quads = combine(b, quads, _pick(b, quads, quads, [k ^ step for k in range(LANES)]))
        return quads

    def body(x: Any, y: Any, z: Any, w: Any) -> Any:
        return reduce(None, x, y, z, w)

    body.__name__ = name
    return primitive(kind, (kind,) * FOUR, reduce)(body)


def _larger(b: Any, x: Any, y: Any) -> Any:
    return vmax(x, y) if b is None else b.select(b.fcmp_ordered(">", x, y), x, y)


max_four = _four(f32x16, _larger, "max_four")
sum_four = _four(f32x16, lambda b, x, y: x + y if b is None else b.fadd(x, y), "sum_four")
isum_four = _four(i32x16, lambda b, x, y: x + y if b is None else b.add(x, y), "isum_four")


def maxima(rows: Sequence[Any]) -> Any:
    """The largest lane of each row."""
    return max_four(*rows) if len(rows) == FOUR else splat(max_lanes(rows[0]))


def sums(rows: Sequence[Any]) -> Any:
    """The sum of each row's lanes."""
    return sum_four(*rows) if len(rows) == FOUR else splat(sum_lanes(rows[0]))


def isums(rows: Sequence[Any]) -> Any:
    """The sum of each row's whole numbers."""
    return isum_four(*rows) if len(rows) == FOUR else isplat(isum_lanes(rows[0]))


# --- what is known of each row ------------------------------------------------------------------


def _spread(first: int) -> Any:
    lanes = [first] * LANES

    def body(x: np.ndarray) -> np.ndarray:
        return x[lanes]

    body.__name__ = f"spread_{first}"
    return primitive(f32x16, (f32x16,), lambda b, x: _pick(b, x, x, lanes))(body)


_SPREAD = [_spread(first) for first in FIRSTS]


def of_row(x: Any, row: int) -> Any:
    """A row's number in every lane."""
    return _SPREAD[row](x)


def _firsts(b: Any, x: Any) -> Any:
    return _pick(b, x, x, FIRSTS)


def _storer(kind: Any, dtype: Any, name: str) -> Any:
    def lower(b: Any, address: Any, x: Any) -> None:
        four = _firsts(b, x)
        b.store(four, b.inttoptr(address, four.type.as_pointer()), align=1)

    def body(address: int, x: np.ndarray) -> None:
        at(address, dtype, FOUR)[...] = x[list(FIRSTS)]

    body.__name__ = name
    return primitive(void, (i64, kind), lower)(body)


_store_four, _istore_four = (
    _storer(f32x16, np.float32, "store_four"),
    _storer(i32x16, np.int32, "istore_four"),
)


def _first_lane(kind: Any, number: Any, name: str) -> Any:
    def body(x: np.ndarray) -> Any:
        return x[0]

    body.__name__ = name
    return primitive(number, (kind,), lambda b, x: b.extract_element(x, ir.Constant(I32, 0)))(body)


first, ifirst = _first_lane(f32x16, f32, "first"), _first_lane(i32x16, i32, "ifirst")


def store_floats(address: Any, x: Any, count: int) -> None:
    """Write the number of each of `count` rows, one after the other."""
    if count == FOUR:
        _store_four(address, x)
    else:
        store_f32(address, first(x))


def store_ints(address: Any, x: Any, count: int) -> None:
    """The same of whole numbers."""
    if count == FOUR:
        _istore_four(address, x)
    else:
        store_i32(address, ifirst(x))


def _lower_any(b: Any, mask: Any) -> Any:
    bits = b.and_(b.bitcast(mask, I16), ir.Constant(I16, sum(1 << k for k in FIRSTS)))
    return b.zext(b.icmp_unsigned("!=", bits, ir.Constant(I16, 0)), I32)


@primitive(i32, (bool16,), _lower_any)
def any_row(mask: np.ndarray) -> int:
    """1 if the mask holds for a row, else 0."""
    return int(mask[list(FIRSTS)].any())
