"""Sets of strings: languages, lengths, exceptions."""

import pytest

from gnomon.sampling.grammar.language import string_language
from gnomon.sampling.grammar.strings import (
    StringSet,
    closed_language,
    inside,
    lengths,
    with_quote,
    without_words,
)

WORDS = ["", "a", "ab", "name", "nam", "namex", "é", 'é"x', 'é"', "\\", "zzz"]


def test_without_words_takes_out_exactly_these() -> None:
    language = with_quote(string_language(""))
    out = ["name", "ab", 'é"x', ""]
    left = without_words(language, out)
    for word in WORDS:
        assert left.matches(inside(word) + b'"') == (word not in out), word


def test_without_words_leaves_no_way_into_a_word_taken_out() -> None:
    left = without_words(with_quote(string_language("^a?b?$")), ["b"])
    assert left.matches(b'ab"')
    assert left.trans[0, left.classes[ord("b")]] < 0


@pytest.mark.parametrize(
    ("pattern", "needs", "steady"),
    [("^[a-z]+$", 1, True), ("^[a-z]{3}$", 3, False), ("^(ab)*$", 0, False), ("x", 1, True)],
)
def test_lengths_tell_whether_counting_is_exact(pattern: str, needs: int, steady: bool) -> None:
    found, _, is_steady = lengths(with_quote(string_language(pattern)))
    assert (int(found[0]), is_steady) == (needs, steady)


def test_a_pattern_whose_lengths_have_gaps_gets_its_bounds_worked_in() -> None:
    strings = StringSet(languages=frozenset([("pattern", "^(ab)*$")]), least=3, most=5)
    language, bounds = closed_language(strings)
    assert bounds == (0, None)
    assert language.matches(b'abab"')
    assert not language.matches(b'ab"')


@pytest.mark.parametrize(
    "strings",
    [
        StringSet(least=2, most=3),
        StringSet(languages=frozenset([("pattern", "^a")]), never=frozenset(["a"])),
        StringSet(not_languages=frozenset([("format", "date")])),
        StringSet(only=frozenset(["a", "zzz"])),
    ],
)
def test_outside_holds_exactly_the_others(strings: StringSet) -> None:
    for word in [*WORDS, "2024-02-29"]:
        assert any(part.holds(word) for part in strings.outside()) != strings.holds(word), word


def test_contradicting_bounds_are_empty() -> None:
    assert (StringSet(least=3) & StringSet(most=2)).is_empty
    both = frozenset([("pattern", "^a$"), ("pattern", "^b$")])
    assert StringSet(languages=both).is_empty
