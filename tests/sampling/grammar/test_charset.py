"""Code point sets and their UTF-8."""

import pytest

from gnomon.sampling.grammar import charset


def matches(sequences: tuple, data: bytes) -> bool:
    return any(
        len(data) == len(s) and all(lo <= b <= hi for b, (lo, hi) in zip(data, s, strict=True))
        for s in sequences
    )


@pytest.mark.parametrize(
    "ranges", [((0, 0x10FFFF),), ((0x60, 0x900),), ((0x7FF, 0x800),), ((0xFFF0, 0x10010),)]
)
def test_utf8_holds_exactly_the_encodings_of_the_set(ranges: charset.Ranges) -> None:
    sequences = charset.utf8(ranges)
    edges = [0, 0x61, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]
    for point in [p + d for p in edges for d in (-1, 0, 1) if 0 <= p + d <= 0x10FFFF]:
        if 0xD800 <= point <= 0xDFFF:
            continue
        inside = any(low <= point <= high for low, high in ranges)
        assert matches(sequences, chr(point).encode()) == inside, hex(point)


def test_surrogates_are_never_written() -> None:
    assert not matches(charset.utf8(((0, 0x10FFFF),)), b"\xed\xa0\x80")


def test_complement_of_complement_is_the_set() -> None:
    ranges = ((5, 9), (100, 0xD7FF), (0xE000, 0xE001))
    assert charset.complement(charset.complement(ranges)) == ranges


def test_category_knows_letters_and_refuses_unknown_names() -> None:
    letters = charset.category("Letter")
    assert letters is not None
    assert any(low <= ord("\u00e9") <= high for low, high in letters)
    assert charset.category("Nonsense") is None
