"""What digits write."""

import pytest

from gnomon.sampling.grammar.digits import decimal, hexadecimal


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("0" * 30 + "7", 7), ("120", 120)])
def test_decimal_digits_are_a_number(text: str, number: int) -> None:
    assert decimal(text) == number


@pytest.mark.parametrize("text", ["", "+1", "1_0", " 1", "\u00b2", "\u0663", "a"])
def test_other_texts_are_no_number(text: str) -> None:
    assert decimal(text) is None


def test_thousands_of_digits_are_a_large_number() -> None:
    number = decimal("9" * 5000)
    assert number is not None
    assert number > 10**18


@pytest.mark.parametrize(("text", "digits", "number"), [("fF", 2, 255), ("0041", 4, 65)])
def test_hexadecimal_digits_are_a_number(text: str, digits: int, number: int) -> None:
    assert hexadecimal(text, digits) == number


@pytest.mark.parametrize("text", ["", "a", "abc", "+1", "1_", "0x", " 1", "\uff11\uff11"])
def test_two_digits_are_two_hexadecimal_digits(text: str) -> None:
    assert hexadecimal(text, 2) == -1
