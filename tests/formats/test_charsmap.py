"""The precompiled character map: small ones made by hand, and broken ones."""

import struct

import pytest

from gnomon.formats.charsmap import CharsMap
from gnomon.formats.errors import TokenizerError

A, B = ord("a"), ord("b")
HAS_VALUE = 1 << 8


def compiled(units: dict[int, int], replacements: bytes, size: int = 256) -> bytes:
    """A map from the double array's units by index; the root's base is 0."""
    array = struct.pack(f"<{size}I", *(units.get(index, 0) for index in range(size)))
    return struct.pack("<I", len(array)) + array + replacements


def unit(label: int, base: int = 0, flags: int = 0) -> int:
    return label | base << 10 | flags


# a -> X; ab -> YZ. From the root 0, child a at 0 ^ a; its base leads to 1 (value) and 1 ^ b.
LEAD = A ^ 1
UNITS = {
    A: unit(A, LEAD, HAS_VALUE),
    1: 0,
    1 ^ B: unit(B, 1 ^ B ^ 2, HAS_VALUE),
    2: 2,
}
MAP = compiled(UNITS, b"X\0YZ\0")


def test_an_empty_map_changes_nothing() -> None:
    assert CharsMap(b"").replace("a\u0301") == "a\u0301"


def test_the_longest_known_text_is_replaced() -> None:
    assert CharsMap(MAP).replace("a") == "X"
    assert CharsMap(MAP).replace("abac\u00e9b") == "YZXc\u00e9b"


def test_a_zero_character_ends_a_match() -> None:
    assert CharsMap(MAP).replace("a\0b") == "X\0b"


@pytest.mark.parametrize(
    "data",
    [b"\1", struct.pack("<I", 8) + bytes(8), struct.pack("<I", 6) + bytes(20), b"\xff" * 16],
)
def test_a_map_of_the_wrong_size_is_refused(data: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"precompiled_charsmap: found \d+ bytes"):
        CharsMap(data)


def test_a_unit_outside_the_array_is_refused() -> None:
    broken = CharsMap(compiled({**UNITS, A: unit(A, 1 << 20, HAS_VALUE)}, b"X\0"))
    with pytest.raises(TokenizerError, match=r"found unit \d+, expected below 256"):
        broken.replace("a")


def test_a_replacement_without_an_end_is_refused() -> None:
    broken = CharsMap(compiled({**UNITS, 1: 900}, b"X\0"))
    with pytest.raises(TokenizerError, match="found no end of the text at 900"):
        broken.replace("a")
