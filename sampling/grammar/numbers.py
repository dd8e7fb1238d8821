"""Sets of JSON numbers: ranges, multiples and single values, and the automata of their texts.

Values are exact fractions. A constrained set's texts are plain decimals without an exponent; sets
bounded by zero only, and unbounded ones, also take exponents. Whole numbers are written without a
fraction where the set holds nothing else.
"""

import json
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, isfinite, lcm

import numpy as np

from .dfa import NOTHING, Dfa, tidy
from .errors import GrammarError
from .language import text_language

MAX_STATES = 12_000
MAX_LISTED = 2_000
MAX_BITS = 4_000  # of an integer; the greatest float has 1,024

NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
INTEGER = r"-?(0|[1-9][0-9]*)"


def exact(value: int | float) -> Fraction:
    """The decimal value a JSON number was written with."""
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise GrammarError(f"number of {value.bit_length()} bits, at most {MAX_BITS}")
        return Fraction(value)
    if not isfinite(value):
        raise GrammarError(f"expected a finite number, found {value}")
    return Fraction(repr(value))


@dataclass(frozen=True, slots=True)
class NumberSet:
    """Numbers between `low` and `high` that are multiples of all `steps` and of no `not_steps`.

    None is no bound; `only` lists the values if they are finitely many; `never` are taken out.
    """

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False
    steps: frozenset[Fraction] = frozenset()
    not_steps: frozenset[Fraction] = frozenset()
    only: frozenset[Fraction] | None = None
    never: frozenset[Fraction] = frozenset()

    def holds(self, value: Fraction) -> bool:
        """Whether the value is a member."""
        if self.only is not None and value not in self.only:
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        if self.high is not None and (value > self.high or (self.high_open and value == self.high)):
            return False
        if any((value / step).denominator != 1 for step in self.steps):
            return False
        if any((value / step).denominator == 1 for step in self.not_steps):
            return False
        return value not in self.never

    def __and__(self, other: "NumberSet") -> "NumberSet":
        low, low_open = _tighter(self.low, self.low_open, other.low, other.low_open, 1)
        high, high_open = _tighter(self.high, self.high_open, other.high, other.high_open, -1)
        only = self.only if other.only is None else other.only
        if self.only is not None and other.only is not None:
            only = self.only & other.only
        both = NumberSet(
            low, high, low_open, high_open, self.steps | other.steps,
            self.not_steps | other.not_steps, only, self.never | other.never,
        )  # fmt: skip
        if only is None:
            return both
        return NumberSet(only=frozenset(value for value in only if both.holds(value)))

    def outside(self) -> list["NumberSet"]:
        """Sets that together hold every other number."""
        if self.only is not None:
            return [NumberSet(never=self.only)]
        parts = [NumberSet(not_steps=frozenset((step,))) for step in self.steps]
        parts += [NumberSet(steps=frozenset((step,))) for step in self.not_steps]
        if self.low is not None:
            parts.append(NumberSet(high=self.low, high_open=not self.low_open))
        if self.high is not None:
            parts.append(NumberSet(low=self.high, low_open=not self.high_open))
        if self.never:
            parts.append(NumberSet(only=self.never))
        return parts

    @property
    def step(self) -> Fraction | None:
        """The least common multiple of the steps."""
        if not self.steps:
            return None
        bottom = lcm(*(step.denominator for step in self.steps))
        return Fraction(lcm(*(int(step * bottom) for step in self.steps)), bottom)

    @property
    def is_empty(self) -> bool:
        """Whether it certainly holds nothing."""
        if self.only is not None:
            return not self.only
        step = self.step
        if step is not None and any((step / no).denominator == 1 for no in self.not_steps):
            return True
        if self.low is None or self.high is None:
            return False
        if self.low > self.high or (self.low == self.high and not self.holds(self.low)):
            return True
        if step is None:
            return False
        if (self.high - self.low) / step > MAX_LISTED:
            return False
        return not any(True for _ in self.listed())

    def listed(self) -> Iterator[Fraction]:
        """The members of a set with a step and two bounds."""
        step, low, high = self.step, self.low, self.high
        if step is None or low is None or high is None:
            return
        for i in range(ceil(low / step), floor(high / step) + 1):
            if self.holds(i * step):
                yield i * step

    @property
    def whole(self) -> bool:
        """Whether it holds integers only."""
        return any(step.denominator == 1 for step in self.steps)


def _tighter(
    a: Fraction | None, a_open: bool, b: Fraction | None, b_open: bool, sign: int
) -> tuple[Fraction | None, bool]:
    if a is None or b is None:
        return (b, b_open) if a is None else (a, a_open)
    if a == b:
        return a, a_open or b_open
    return (a, a_open) if (a - b) * sign > 0 else (b, b_open)


def number_texts(value: Fraction) -> list[bytes]:
    """Ways to write a value: plain decimal, with `.0` if whole, as Python's json writes a float."""
    texts = {decimal(value)}
    if value.denominator == 1:
        texts.add(decimal(value) + ".0")
    try:
        as_float = float(value)
    except OverflowError:
        as_float = 0.0
    if exact(as_float) == value:
        texts.add(json.dumps(as_float))
    return sorted(text.encode() for text in texts)


def decimal(value: Fraction) -> str:
    """The value in plain decimal; ValueError if it has no finite form."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
        if digits > 1100:
            raise ValueError(f"{value} has no finite decimal form")
    text = str(abs(int(value * 10**digits))).rjust(digits + 1, "0")
    body = text if not digits else f"{text[:-digits]}.{text[-digits:]}"
    return body if value >= 0 else "-" + body


@lru_cache(maxsize=512)
def number_language(numbers: NumberSet) -> Dfa:
    """The automaton of the texts of a set that is not given by listing."""
    if numbers == NumberSet():
        return text_language(NUMBER)
    if numbers == NumberSet(steps=frozenset((Fraction(1),))):
        return text_language(INTEGER)
    zero_only = numbers.low in (None, 0) and numbers.high in (None, 0)
    if zero_only and replace(numbers, low=None, high=None, low_open=False, high_open=False) == (
        NumberSet()
    ):
        return _signed(numbers)
    return _Decimals(numbers).dfa()


def _signed(numbers: NumberSet) -> Dfa:
    """Numbers above or below zero, exponents and all."""
    zero = r"0(\.0+)?([eE][+-]?[0-9]+)?"
    digits = r"(0\.0*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)([eE][+-]?[0-9]+)?"
    parts = [] if numbers.low_open or numbers.high_open else [zero]
    if numbers.high is None:
        parts.append(digits)
    if numbers.low is None:
        parts.append("-" + digits)
    return text_language("|".join(parts)) if parts else NOTHING


class _Compare:
    """How the decimals read so far compare with one bound's magnitude."""

    def __init__(self, bound: Fraction) -> None:
        whole, _, part = decimal(abs(bound)).partition(".")
        self.whole = "" if whole == "0" else whole
        self.part = part
        self.bound = bound
        self.start = (0, 0)

    def digit(self, state: tuple[int, int], d: str, fraction: bool) -> tuple[int, int]:
        """State (order so far, digits read); the order alone once it is settled."""
        order, i = state
        if fraction:
            if order:
                return (order, 0)
            want = self.part[i] if i < len(self.part) else "0"
            return (0, min(i + 1, len(self.part))) if d == want else (1 if d > want else -1, 0)
        if i == 0 and d == "0":
            return (0, 0)
        if i >= len(self.whole):
            return (1, len(self.whole) + 1)
        if not order:
            order = (d > self.whole[i]) - (d < self.whole[i])
        return (order, i + 1)

    def point(self, state: tuple[int, int]) -> tuple[int, int]:
        """The state behind the decimal point."""
        order, i = state
        return (-1, 0) if i < len(self.whole) else (order, 0)

    def verdict(self, state: tuple[int, int], fraction: bool, negative: bool) -> int:
        """Sign of (number - bound) if the text ended here."""
        order, i = state if fraction else self.point(state)
        if not order and i < len(self.part):
            order = -1
        if self.bound == 0 or (self.bound < 0) == negative:
            return -order if negative else order
        return -1 if negative else 1


class _Decimals:
    """The texts of a constrained set, explored as a machine over digits."""

    def __init__(self, numbers: NumberSet) -> None:
        self.numbers = numbers
        bounds = {Fraction(0), *numbers.never}
        bounds |= {bound for bound in (numbers.low, numbers.high) if bound is not None}
        try:
            self.compares = [_Compare(bound) for bound in sorted(bounds)]
            self.steps = [_Remainder(step) for step in sorted(numbers.steps - {Fraction(1)})]
            self.no_steps = [_Remainder(step) for step in sorted(numbers.not_steps)]
        except ValueError as error:
            raise GrammarError(str(error)) from None

    def dfa(self) -> Dfa:
        start = (
            "start", False, tuple(c.start for c in self.compares),
            tuple((0, 0) for _ in self.steps), tuple((0, 0) for _ in self.no_steps),
        )  # fmt: skip
        return explore(start, self.step, self.accepts)

    def step(self, state: tuple, char: str) -> tuple | None:  # type: ignore[type-arg]
        phase, negative, orders, rests, no_rests = state
        if char == "-":
            return ("minus", True, orders, rests, no_rests) if phase == "start" else None
        if char == ".":
            if phase not in ("zero", "whole") or self.numbers.whole:
                return None
            orders = tuple(c.point(o) for c, o in zip(self.compares, orders, strict=True))
            return ("point", negative, orders, rests, no_rests)
        if phase == "zero":
            return None
        fraction = phase in ("point", "part")
        orders = tuple(
            c.digit(o, char, fraction) for c, o in zip(self.compares, orders, strict=True)
        )
        rests = tuple(s.digit(r, char, fraction) for s, r in zip(self.steps, rests, strict=True))
        if any(rest[0] < 0 for rest in rests):
            return None
        no_rests = tuple(
            s.digit(r, char, fraction) for s, r in zip(self.no_steps, no_rests, strict=True)
        )
        first_zero = char == "0" and phase in ("start", "minus")
        phase = "part" if fraction else "zero" if first_zero else "whole"
        return (phase, negative, orders, rests, no_rests)

    def accepts(self, state: tuple) -> bool:  # type: ignore[type-arg]
        phase, negative, orders, rests, no_rests = state
        if phase not in ("zero", "whole", "part"):
            return False
        signs = {
            c.bound: c.verdict(o, phase == "part", negative)
            for c, o in zip(self.compares, orders, strict=True)
        }
        numbers = self.numbers
        if negative and signs[Fraction(0)] == 0:
            return False  # zero has no sign: a model led to "-" would often be left with "-0"
        if numbers.low is not None and signs[numbers.low] < int(numbers.low_open):
            return False
        if numbers.high is not None and -signs[numbers.high] < int(numbers.high_open):
            return False
        if any(signs[value] == 0 for value in numbers.never):
            return False
        if not all(s.divides(r) for s, r in zip(self.steps, rests, strict=True)):
            return False
        return not any(s.divides(r) for s, r in zip(self.no_steps, no_rests, strict=True))


class _Remainder:
    """Digits so far modulo a step P / 10^K: (remainder, -1 once it cannot divide; places read)."""

    def __init__(self, step: Fraction) -> None:
        _, _, part = decimal(step).partition(".")
        self.places = len(part)
        self.modulus = int(step * 10**self.places)

    def digit(self, state: tuple[int, int], d: str, fraction: bool) -> tuple[int, int]:
        rest, places = state
        if fraction and places == self.places:
            return state if d == "0" or rest < 0 else (-1, places)
        return ((rest * 10 + int(d)) % self.modulus if rest >= 0 else -1, places + int(fraction))

    def divides(self, state: tuple[int, int]) -> bool:
        rest, places = state
        return rest >= 0 and rest * 10 ** (self.places - places) % self.modulus == 0


_ALPHABET = "0123456789.-"


def explore(
    start: Hashable,
    step: Callable[..., Hashable | None],
    accepts: Callable[..., bool],
) -> Dfa:
    """The automaton of a machine over the characters of decimals."""
    names = {start: 0}
    queue = [start]
    rows: list[list[int]] = []
    for state in queue:
        row = [-1]
        for char in _ALPHABET:
            to = step(state, char)
            if to is not None and to not in names:
                names[to] = len(queue)
                queue.append(to)
            row.append(-1 if to is None else names[to])
        rows.append(row)
        if len(queue) > MAX_STATES:
            raise GrammarError(f"number constraint needs more than {MAX_STATES} states")
    classes = np.zeros(256, np.uint8)
    for i, char in enumerate(_ALPHABET):
        classes[ord(char)] = i + 1
    accept = np.array([accepts(state) for state in queue], np.uint8)
    return tidy(np.array(rows, np.int32), accept, classes)
