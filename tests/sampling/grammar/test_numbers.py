"""Sets of numbers: their texts hold the values they should."""

import random
from fractions import Fraction

import pytest

from gnomon.sampling.grammar.numbers import NumberSet, decimal, exact, number_language, number_texts

STEPS = [Fraction(1), Fraction(3), Fraction(1, 4), Fraction(1, 100), Fraction(5, 2)]


def value(rng: random.Random) -> Fraction:
    whole = Fraction(rng.choice([rng.randint(-50, 50), rng.randint(-3, 3)]))
    return whole + Fraction(rng.choice([0, 0, 1, 5, 25, 123]), 1000) * rng.choice([1, 10, 100])


def number_set(rng: random.Random) -> NumberSet:
    found = NumberSet()
    if rng.random() < 0.6:
        found &= NumberSet(low=value(rng), low_open=rng.random() < 0.5)
    if rng.random() < 0.6:
        found &= NumberSet(high=value(rng), high_open=rng.random() < 0.5)
    if rng.random() < 0.4:
        found &= NumberSet(steps=frozenset([rng.choice(STEPS)]))
    if rng.random() < 0.3:
        found &= NumberSet(not_steps=frozenset([rng.choice(STEPS)]))
    if rng.random() < 0.3:
        found &= NumberSet(never=frozenset([value(rng)]))
    return found


@pytest.mark.parametrize("seed", range(25))
def test_automaton_takes_the_plain_decimals_of_the_members(seed: int) -> None:
    rng = random.Random(seed)
    numbers = number_set(rng)
    language = number_language(numbers)
    for _ in range(150):
        v = value(rng)
        if not numbers.whole or v.denominator == 1:
            assert language.matches(decimal(v).encode()) == numbers.holds(v), (numbers, v)


@pytest.mark.parametrize("seed", range(25))
def test_outside_holds_exactly_the_others(seed: int) -> None:
    rng = random.Random(seed)
    numbers = number_set(rng)
    for _ in range(100):
        v = value(rng)
        assert any(part.holds(v) for part in numbers.outside()) != numbers.holds(v)


@pytest.mark.parametrize("seed", range(40))
def test_a_set_called_empty_has_an_empty_automaton(seed: int) -> None:
    numbers = number_set(random.Random(seed))
    if numbers.is_empty:
        assert number_language(numbers).is_empty


def test_range_without_a_multiple_is_empty() -> None:
    assert NumberSet(low=Fraction(5), high=Fraction(8), steps=frozenset([Fraction(9)])).is_empty


def test_integers_are_written_without_a_fraction() -> None:
    language = number_language(NumberSet(steps=frozenset([Fraction(1)])))
    assert language.matches(b"-10")
    assert not language.matches(b"1.0")
    assert not language.matches(b"01")


@pytest.mark.parametrize("text", [b"1e5", b"0.5E-3", b"7", b"10.25"])
def test_positive_numbers_take_exponents(text: bytes) -> None:
    assert number_language(NumberSet(low=Fraction(0), low_open=True)).matches(text)
    assert not number_language(NumberSet(high=Fraction(0))).matches(text)


@pytest.mark.parametrize("text", [b"0", b"0.0", b"0e5"])
def test_zero_is_at_the_closed_bound(text: bytes) -> None:
    assert number_language(NumberSet(low=Fraction(0))).matches(text)
    assert not number_language(NumberSet(low=Fraction(0), low_open=True)).matches(text)


@pytest.mark.parametrize("text", [b"-0", b"-0.0", b"-0.00"])
@pytest.mark.parametrize(
    "numbers",
    [
        NumberSet(high=Fraction(0), high_open=True, steps=frozenset([Fraction(1, 2)])),
        NumberSet(low=Fraction(-5), never=frozenset([Fraction(0)])),
        NumberSet(low=Fraction(-5), high=Fraction(5)),
    ],
)
def test_zero_under_a_constraint_has_no_sign(numbers: NumberSet, text: bytes) -> None:
    assert not number_language(numbers).matches(text)


def test_a_value_has_its_common_spellings() -> None:
    assert number_texts(Fraction(5)) == [b"5", b"5.0"]
    assert b"1e-07" in number_texts(exact(1e-7))
