"""What rendering a chat template may cost: steps, seconds, and the size of what it makes.

Each operation costs a step, and what it makes costs by size; operations that can make much out of
little are refused before they run. Real templates need some hundred steps for a message.
"""

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from string import Formatter
from time import monotonic
from typing import Any, Final, TypeVar

from jinja2.utils import Namespace

MAX_STEPS: Final = 2_000_000
MAX_SECONDS: Final = 10.0
MAX_CHARS: Final = 1 << 23  # of one string
MAX_ITEMS: Final = 1_000_000  # of one list, with everything in it
MAX_WIDTH: Final = 10_000  # to pad to, to indent by, to fill up to
MAX_BITS: Final = 10_000  # of one integer
CHARS_PER_STEP: Final = 256

CONTAINERS: Final = (list, tuple, dict, set, frozenset, KeysView, ValuesView, ItemsView)
WIDTH_METHODS: Final = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes"})
# A field of str.format after its colon: a width of five digits, or a field in a field.
WIDE_SPEC: Final = re.compile(r"\d{5}|\{")
# A field of %. A key that holds brackets or % is not read, so that the time is linear in the text.
PERCENT_FIELD: Final = re.compile(r"%(?P<key>\([^()%]*\))?(?P<width>[-#0 +]*[\d.*]*)")
WIDE_PERCENT: Final = re.compile(r"\*|\d{5}")

T = TypeVar("T")


class OverBudget(Exception):
    """A template that costs more than a rendering may."""


class Meter:
    """What one rendering has cost so far."""

    def __init__(self) -> None:
        self._steps = 0
        self._deadline = monotonic() + MAX_SECONDS

    def spend(self, steps: int = 1) -> None:
        """Count steps; OverBudget when they or the time have run out."""
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise OverBudget(f"more than {MAX_STEPS} steps")
        if monotonic() > self._deadline:
            raise OverBudget(f"more than {MAX_SECONDS:g} seconds")

    def charge(self, value: T) -> T:
        """Count a step and the size of a value, not of what a list's items hold; hand it on."""
        if isinstance(value, str | bytes):
            check_chars(len(value))
            self.spend(1 + len(value) // CHARS_PER_STEP)
        else:
            if isinstance(value, int):
                _check_bits(value.bit_length())
            self.spend(1 + (len(value) if isinstance(value, CONTAINERS) else 0))
        return value

    def charge_whole(self, value: T) -> T:
        """Count a step and the size of a value with everything in it; hand it on."""
        items, chars = measure(value)
        check_chars(chars)
        self.spend(items + chars // CHARS_PER_STEP)
        return value


_METER: ContextVar[Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[None]:
    """A fresh meter for what is rendered inside."""
    token = _METER.set(Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def meter() -> Meter:
    """The meter of the rendering that goes on; LookupError if none does."""
    return _METER.get()


def measure(value: object) -> tuple[int, int]:
    """How many values there are in a value with everything in it, and characters in its strings."""
    items, chars = 0, 0
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        items += 1
        if isinstance(item, str | bytes):
            chars += len(item)
        elif isinstance(item, CONTAINERS):
            stack += item
            stack += item.values() if isinstance(item, dict) else ()
        elif isinstance(item, Namespace):
            raise OverBudget("a namespace where text or data is expected")
        if items + len(stack) > MAX_ITEMS:
            raise OverBudget(f"a list of more than {MAX_ITEMS} items")
    return items, chars


def check_chars(count: int) -> None:
    """OverBudget if a string is too long."""
    if count > MAX_CHARS:
        raise OverBudget(f"a string of more than {MAX_CHARS} characters")


def check_join(separator: Any, parts: Iterable[object]) -> None:
    """OverBudget if joining str or bytes would make them too long."""
    check_chars(sum(sum(measure(part)) + len(separator) for part in parts))


def check_replace(text: Any, old: Any, new: Any) -> None:
    """OverBudget if replacing in str or bytes would make them too long."""
    count = text.count(old) if old else len(text) + 1
    check_chars(len(text) + count * max(0, len(new) - len(old)))


def check_format(text: str, arguments: object) -> None:
    """OverBudget if str.format would make too long a string, or if its widths do not tell."""
    fields = [spec for _, name, spec, _ in Formatter().parse(text) if name is not None]
    _check_fields([spec or "" for spec in fields], WIDE_SPEC, arguments)


def check_percent(text: str | bytes, arguments: object) -> None:
    """OverBudget if `text % arguments` would make too long a string, or if its widths do not
    tell.
    """
    known = text.decode("latin-1") if isinstance(text, bytes) else text
    fields = list(PERCENT_FIELD.finditer(known))
    if known.count("%(") > sum(field["key"] is not None for field in fields):
        raise OverBudget("a format string with an odd name")
    _check_fields([field["width"] for field in fields], WIDE_PERCENT, arguments)


def _check_fields(widths: list[str], wide: re.Pattern[str], arguments: object) -> None:
    if any(map(wide.search, widths)):
        raise OverBudget("a format string with a wide field")
    padded = sum(any(map(str.isdigit, width)) for width in widths)
    check_chars(len(widths) * sum(measure(arguments)) + padded * MAX_WIDTH)


def check_width(arguments: Iterable[object]) -> None:
    """OverBudget if what pads or fills is told too large a number."""
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_WIDTH:
            raise OverBudget(f"a width of {argument}, at most {MAX_WIDTH}")


def check_operation(operator: str, left: object, right: object) -> None:
    """OverBudget if an operator would make something too large."""
    if operator == "%" and isinstance(left, str | bytes):
        check_percent(left, right)
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * max(0, right))
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    elif operator == "*":
        for value, times in ((left, right), (right, left)):
            if isinstance(value, str | bytes | list | tuple) and isinstance(times, int):
                check_chars(len(value) * max(0, times))


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise OverBudget(f"an integer of more than {MAX_BITS} bits")
