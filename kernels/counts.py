"""Sums of products of codes and activations over several vectors of columns, as `dots.py` has them.

total + 2^lift * sum of code * x     what products of 16 bits hold is added up before it widens
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dots import MOST, add_pairs, add_signed, add_widened, distance, dot4, settled
from .isa import ISA, PAIRS
from .simd import isplat
from .tiles.codes import TileFormat

LEAST = 128  # of an activation, below zero


class Counts:
    """Sums of products while a kernel is compiled, by the output's number.

    `add` takes a vector of codes, as `ready` made it once for all rows, and four of an output's
    activations in every lane; `next` follows when each output has had its product.
    """

    def __init__(self, form: TileFormat, starts: Mapping[int, Any]) -> None:
        self.form, self.totals = form, dict(starts)
        self.words: dict[int, Any] = {}
        self.waiting = 0

    @staticmethod
    def from_zero(form: TileFormat) -> bool:
        """Whether sums start at zero, not at -128 times the sum of the activations."""
        return not form.signed or by_sign(form)

    def ready(self, codes: Any) -> Any:
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


def in_pairs(form: TileFormat) -> bool:
    """Whether two products of this type's codes fit in 16 bits, where that helps."""
    return PAIRS and 2 * LEAST * form.top <= MOST


def by_sign(form: TileFormat) -> bool:
    """Whether this type's codes are multiplied by their distance from 128 and its sign."""
    return ISA == "avx2" and not in_pairs(form)
