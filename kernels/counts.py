"""Sums of products of codes and activations over several vectors of columns, as `dots.py` has them.

total + 2^lift * sum of code * x     what products of 16 bits hold is added up before it widens

Activations of 16 bits come in two parts, those of even columns and of odd ones (`records.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dots import (
    MOST,
    add_pairs,
    add_signed,
    add_widened,
    distance,
    dot2,
    dot4,
    even_bytes,
    odd_bytes,
    settled,
)
from .isa import ISA, PAIRS
from .records import Records
from .simd import isplat, shift_left
from .tiles.codes import TileFormat, raised

LEAST = 128  # of an activation, below zero


class Counts:
    """Sums of products while a kernel is compiled, by the output's number.

    `add` takes a vector of codes, as `ready` made it once for all rows and this part, and an
    output's activations of that part in every lane; `next` follows when each output has had its
    products.
    """

    def __init__(self, form: TileFormat, starts: Mapping[int, Any]) -> None:
        self.form, self.totals = form, dict(starts)
        self.words: dict[int, Any] = {}
        self.waiting = 0

    @staticmethod
    def from_zero(form: TileFormat) -> bool:
        """Whether sums start at zero, not at -128 times the sum of the activations."""
        return not form.signed or by_sign(form)

    def ready(self, codes: Any, part: int) -> Any:
        return (distance(codes), codes) if by_sign(self.form) else codes

    def add(self, k: int, codes: Any, x: Any) -> None:
        if by_sign(self.form):
            self.totals[k] = settled(add_signed(self.totals[k], *codes, x))
        elif in_pairs(self.form):
            self.words[k] = settled(add_pairs(self.words.get(k, isplat(0)), codes, x))
        else:
            self.totals[k] = dot4(self.totals[k], codes, x)

    def next(self) -> None:
        self.waiting += 1
        if 2 * LEAST * self.form.top * (self.waiting + 1) > MOST:
            self.widen()

    def widen(self) -> None:
        for k, words in self.words.items():
            self.totals[k] = add_widened(self.totals[k], words, 1 << self.form.lift)
        self.words, self.waiting = {}, 0

    def done(self) -> dict[int, Any]:
        self.widen()
        return self.totals


class WordCounts:
    """The same of activations of 16 bits."""

    def __init__(self, form: TileFormat, starts: Mapping[int, Any]) -> None:
        self.starts, self.lift = starts, form.lift - raised(form.lift)
        self.totals = {k: isplat(0) for k in starts} if self.lift else dict(starts)

    @staticmethod
    def from_zero(form: TileFormat) -> bool:
        """Whether sums start at zero, not at -128 times the sum of the activations."""
        return not form.signed

    def ready(self, codes: Any, part: int) -> Any:
        return odd_bytes(codes) if part else even_bytes(codes)

    def add(self, k: int, codes: Any, x: Any) -> None:
        total = dot2(self.totals[k], codes, x)
        # Without vpdpwssd LLVM would make trees of the sums.
        self.totals[k] = settled(total) if PAIRS else total

    def next(self) -> None:
        """Nothing waits."""

    def done(self) -> dict[int, Any]:
        if not self.lift:
            return self.totals
        return {k: shift_left(x, self.lift) + self.starts[k] for k, x in self.totals.items()}


def counts_of(records: Records) -> type[Counts] | type[WordCounts]:
    """What counts the products of such records."""
    return WordCounts if records is Records.WORDS else Counts


def in_pairs(form: TileFormat) -> bool:
    """Whether two products of this type's codes fit in 16 bits, where that helps."""
    return PAIRS and 2 * LEAST * form.top <= MOST


def by_sign(form: TileFormat) -> bool:
    """Whether this type's codes are multiplied by their distance from 128 and its sign."""
    return ISA == "avx2" and not in_pairs(form)
