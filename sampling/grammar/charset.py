"""Sets of code points as sorted, disjoint, inclusive ranges, and their UTF-8 byte ranges.

Surrogates (D800-DFFF) have no UTF-8 form and are never part of a set that is written out.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache

Ranges = tuple[tuple[int, int], ...]
TOP = 0x10FFFF
ALL: Ranges = ((0, 0xD7FF), (0xE000, TOP))


def union(parts: Iterable[tuple[int, int]]) -> Ranges:
    """Sort and merge ranges."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Every code point outside the ranges, surrogates left out."""
    return intersect(_outside(ranges), ALL)


def _outside(ranges: Ranges) -> Ranges:
    gaps = []
    start = 0
    for low, high in ranges:
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= TOP:
        gaps.append((start, TOP))
    return tuple(gaps)


def intersect(a: Ranges, b: Ranges) -> Ranges:
    """Code points in both."""
    out = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            out.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
BLANK: Ranges = (
    *((9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
LINE_END: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
NOT_LINE_END = complement(LINE_END)

_LONG_NAMES = {
    "Letter": "L", "Lowercase_Letter": "Ll", "Uppercase_Letter": "Lu", "Number": "N",
    "Decimal_Number": "Nd", "digit": "Nd", "Punctuation": "P", "punct": "P", "Symbol": "S",
    "Separator": "Z", "Mark": "M", "Other": "C", "Control": "Cc", "Other_Letter": "Lo",
    "Alphabetic": "L", "Lowercase": "Ll", "Uppercase": "Lu",
}  # fmt: skip


@cache
def category(name: str) -> Ranges | None:
    """The code points of a Unicode general category, or None if the name is not one."""
    name = name.split("=")[-1]
    name = _LONG_NAMES.get(name, name)
    if len(name) > 2 or name[:1] not in "LMNPSZC":
        return None
    points = (c for c in range(TOP + 1) if unicodedata.category(chr(c)).startswith(name))
    ranges: list[tuple[int, int]] = []
    for c in points:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1] = (ranges[-1][0], c)
        else:
            ranges.append((c, c))
    return intersect(tuple(ranges), ALL) or None


@cache
def utf8(ranges: Ranges) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Byte-range sequences that together match exactly the UTF-8 of the code points."""
    out: list[tuple[tuple[int, int], ...]] = []
    for low, high in intersect(ranges, ALL):
        for first, last in ((0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, TOP)):
            if max(low, first) <= min(high, last):
                _split(max(low, first), min(high, last), out)
    return tuple(out)


def _split(low: int, high: int, out: list[tuple[tuple[int, int], ...]]) -> None:
    """Cut a range of equally long code points where a trailing byte would not be free."""
    for bits in (6, 12, 18):
        unit = (1 << bits) - 1
        if low < 0x80 or (low & ~unit) == (high & ~unit):
            continue
        if low & unit:
            _split(low, low | unit, out)
            _split((low | unit) + 1, high, out)
            return
        if (high & unit) != unit:
            _split(low, (high & ~unit) - 1, out)
            _split(high & ~unit, high, out)
            return
    pair = zip(chr(low).encode(), chr(high).encode(), strict=True)
    out.append(tuple(pair))
