"""Round 32 numbers to a block of a cache type, with the arithmetic of ggml's `quantize_row_*_ref`.

    q8_0           d = max |x| / 127,             q = round(x / d), halves away from zero
    q4_0 q5_0      d = x' / -8 or -16,            q = trunc(x / d + 8.5 or 16.5)
    q4_1 q5_1      d = (max - min) / 15 or 31,    q = trunc((x - min) / d + 0.5),    m = min
    iq4_nl         levels l nearest to x / (x' / -127), then d = sum(x^2 l x) / sum(x^2 l l)

x' is the first of the largest |x|; x / d is x times the rounded 1 / d, 0 where d is 0; every step
is float32. `quantize_ref` is the formula over arrays, `quantizer` the same for a kernel. A number
that is not finite makes its 32 not numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kv_types import BLOCK, LANES, ZERO, KvType
from .quants.iq4_nl import LEVELS
from .simd import (
    div,
    exceeds,
    isum_lanes,
    load_f32x16,
    max_lanes,
    select,
    shift_left,
    shift_right,
    splat,
    store_f16,
    store_i8x16,
    store_u8,
    sum_lanes,
    to_f32,
    to_i32,
    unrolled,
    vabs,
    vmax,
    vmin,
    void,
)

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
ONE = np.float32(1)
HALF = np.float32(0.5)
INFINITE, NOT_A_NUMBER = np.float32(np.inf), np.float32(np.nan)
EACH_ONE = np.ones(LANES, np.float32)
# 32 for the first number, 1 for the last: the larger comes first.
PLACES: F32 = np.arange(BLOCK, 0, -1).astype(np.float32).reshape(2, LANES)
# What bit a lane is of the first and of the second byte of 16 bits.
BITS = (1 << np.arange(8)).astype(np.int32)
LANE_BYTES = [np.concatenate([BITS, 0 * BITS]), np.concatenate([0 * BITS, BITS])]
BELOW_HALF = np.nextafter(HALF, ZERO)
# The numbers from which on the next level is nearer; a tie goes up.
STEPS: F32 = np.nextafter((LEVELS[1:] + LEVELS[:-1]) / 2, np.float32(-np.inf)).astype(np.float32)


# --- twins: x [n, 32] -> blocks [n, bytes] --------------------------------------------------------


def _inverse(d: F32) -> F32:
    return np.where(d == 0, ZERO, ONE / d)


def _first_largest(x: F32) -> F32:
    return np.take_along_axis(x, np.abs(x).argmax(axis=1, keepdims=True), axis=1)


def _inside(x: F32, top: int) -> NDArray[np.int32]:
    """Whole part of x, within 0..top; 0 for what is not a number."""
    return np.where(x > 0, np.where(x < top, x, np.float32(top)), ZERO).astype(np.int32)


def _packed(codes: NDArray[np.int32], bits: int) -> list[U8]:
    """Fifth bits, if there are, and nibbles: number j and j + 16 share a byte."""
    code = codes.astype(np.uint8)
    low = code & np.uint8(15)
    nibbles = low[:, :16] | low[:, 16:] << np.uint8(4)
    fifth = [np.packbits(code >> np.uint8(4), axis=1, bitorder="little")] if bits == 5 else []
    return [*fifth, nibbles]


def _halves(x: F32, *numbers: F32) -> list[U8]:
    """Scale and minimum as float16; the scale is not a number if one of the 32 is not finite."""
    finite = np.isfinite(x).all(axis=1, keepdims=True)
    scale = np.where(finite, numbers[0], NOT_A_NUMBER)
    return [number.astype("<f2").view(np.uint8) for number in (scale, *numbers[1:])]


def _signed_ref(x: F32) -> list[U8]:
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    y = x * _inverse(d)
    size = np.where(np.abs(y) < 127, np.abs(y), np.float32(127))
    size = np.trunc(size) + (size - np.trunc(size) >= HALF)
    return [*_halves(x, d), np.where(y < 0, -size, size).astype(np.int8).view(np.uint8)]


def _centred_ref(bits: int) -> Callable[[F32], list[U8]]:
    middle = 1 << (bits - 1)

    def quantize(x: F32) -> list[U8]:
        d = _first_largest(x) / np.float32(-middle)
        y = x * _inverse(d) + np.float32(middle + 0.5)
        return [*_halves(x, d), *_packed(_inside(y, 2 * middle - 1), bits)]

    return quantize


def _lowest_ref(bits: int) -> Callable[[F32], list[U8]]:
    top = (1 << bits) - 1

    def quantize(x: F32) -> list[U8]:
        low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
        d = (high - low) / np.float32(top)
        y = (x - low) * _inverse(d) + HALF
        return [*_halves(x, d, low), *_packed(_inside(y, top), bits)]

    return quantize


def _levels_ref(x: F32) -> list[U8]:
    guess = _first_largest(x) / LEVELS[0]
    y = x * _inverse(guess)
    codes = (y[:, :, None] > STEPS).sum(axis=2, dtype=np.int32)
    level = LEVELS[codes]
    square = x * x * level
    sums = [_tree(square * x), _tree(square * level)]
    d = np.where(sums[1] > 0, sums[0] / sums[1], ZERO)
    return [*_halves(x, d), *_packed(codes, 4)]


def _tree(x: F32) -> F32:
    """Sums of 32 numbers in the order of the kernel: halves onto each other."""
    while x.shape[1] > 1:
        x = x[:, : x.shape[1] // 2] + x[:, x.shape[1] // 2 :]
    return x


_REFS: dict[str, Callable[[F32], list[U8]]] = {
    "q8_0": _signed_ref,
    "q4_0": _centred_ref(4),
    "q4_1": _lowest_ref(4),
    "q5_0": _centred_ref(5),
    "q5_1": _lowest_ref(5),
    "iq4_nl": _levels_ref,
}


def quantize_ref(kind: KvType, x: NDArray[Any]) -> U8:
    """Quantise x [n, 32], in float32, to blocks of a quantised type [n, bytes]."""
    with np.errstate(all="ignore"):
        return np.concatenate(_REFS[kind.name](np.asarray(x, np.float32)), axis=1)


# --- for kernels: two vectors of 16 numbers -> one block in memory --------------------------------

Halves = tuple[Any, Any]


def _reciprocal(d: Any) -> Any:
    return select(exceeds(vabs(d), ZERO), div(EACH_ONE, d), ZERO)


def _largest(x: Halves) -> Any:
    """The first of the numbers whose size is largest, in every lane."""
    top = splat(max_lanes(vmax(vabs(x[0]), vabs(x[1]))))
    places = []
    for sign in (1, -1):
        found = [
            select(exceeds(top, half * np.float32(sign)), ZERO, place)
            for half, place in zip(x, PLACES, strict=True)
        ]
        places.append(splat(max_lanes(vmax(*found))))
    return select(exceeds(places[1], places[0]), top * np.float32(-1), top)


def _put_scale(address: Any, d: Any, x: Halves) -> None:
    """The scale as float16; not a number if one of the 32 is not finite."""
    odd = [select(exceeds(INFINITE, vabs(half)), ZERO, ONE) for half in x]
    store_f16(address, max_lanes(select(exceeds(vmax(*odd), ZERO), NOT_A_NUMBER, d)))


def _put_codes(codes: Any, address: Any, bits: int) -> None:
    codes = [to_i32(vmin(vmax(code, ZERO), np.float32((1 << bits) - 1))) for code in codes]
    if bits == 5:
        bytes_ = [isum_lanes(shift_right(code, 4) * half) for code in codes for half in LANE_BYTES]
        for i, byte in enumerate(bytes_):
            store_u8(address + i, byte)
        address = address + 4
    low, high = (code & 15 for code in codes)
    store_i8x16(address, low | shift_left(high, 4))


def _signed(moved: bool) -> Callable[[Halves, Any], None]:
    def put(x: Halves, address: Any) -> None:
        d = div(splat(max_lanes(vmax(vabs(x[0]), vabs(x[1])))), np.float32(127))
        _put_scale(address, d, x)
        for i, half in enumerate(x):
            y = half * _reciprocal(d)
            size = vmin(vabs(y), np.float32(127))
            whole = to_f32(to_i32(size))
            rounded = whole + select(exceeds(size - whole, BELOW_HALF), ONE, ZERO)
            code = to_i32(select(exceeds(ZERO, y), rounded * np.float32(-1), rounded))
            store_i8x16(address + 2 + 16 * i, code + 128 * moved)

    return put


def _centred(bits: int) -> Callable[[Halves, Any], None]:
    middle = 1 << (bits - 1)

    def put(x: Halves, address: Any) -> None:
        d = _largest(x) * np.float32(-1 / middle)
        inverse = _reciprocal(d)
        _put_scale(address, d, x)
        _put_codes([half * inverse + np.float32(middle + 0.5) for half in x], address + 2, bits)

    return put


def _lowest(bits: int) -> Callable[[Halves, Any], None]:
    def put(x: Halves, address: Any) -> None:
        high = splat(max_lanes(vmax(*x)))
        low = splat(max_lanes(vmax(*(half * np.float32(-1) for half in x)))) * np.float32(-1)
        d = div(high - low, np.float32((1 << bits) - 1))
        inverse = _reciprocal(d)
        _put_scale(address, d, x)
        store_f16(address + 2, max_lanes(low))
        _put_codes([(half - low) * inverse + HALF for half in x], address + 4, bits)

    return put


def _nearest(y: Any) -> tuple[Any, Any]:
    """The index of the level next to each number, and the level."""
    low = exceeds(y, STEPS[0])
    index, level = select(low, ONE, ZERO), select(low, LEVELS[1], LEVELS[0])
    for step, above in zip(STEPS[1:], LEVELS[2:], strict=True):
        index = index + select(exceeds(y, step), ONE, ZERO)
        level = select(exceeds(y, step), above, level)
    return index, level


def _levels(x: Halves, address: Any) -> None:
    inverse = _reciprocal(div(_largest(x), LEVELS[0]))
    codes, sums = [], []
    for half in x:
        code, level = _nearest(half * inverse)
        square = half * half * level
        codes.append(code)
        sums.append((square * half, square * level))
    above, below = (splat(sum_lanes(first + second)) for first, second in zip(*sums, strict=True))
    _put_scale(address, select(exceeds(below, ZERO), div(above, below), ZERO), x)
    _put_codes(codes, address + 2, 4)


def quantizer(kind: KvType, moved: bool = False) -> Any:
    """A function of kernels: (address of 32 float32, address) writes their block.

    `moved` writes q8_0's codes as unsigned bytes, 128 more, as tiles hold them.
    """
    put = {
        "q8_0": _signed(moved),
        "q4_0": _centred(4),
        "q4_1": _lowest(4),
        "q5_0": _centred(5),
        "q5_1": _lowest(5),
        "iq4_nl": _levels,
    }[kind.name]

    def quantize(source, to):
        put((load_f32x16(source), load_f32x16(source + 64)), to)

    return unrolled(lambda source, to: void)(quantize)
