"""Automata as values: set operations, counting, bounds."""

import pytest

from gnomon.sampling.grammar.dfa import EVERYTHING, NOTHING, Nfa
from gnomon.sampling.grammar.errors import MAX_NFA, GrammarError
from gnomon.sampling.grammar.language import text_language

A, B = text_language("a[bc]*"), text_language("[ab]+")
WORDS = [b"", b"a", b"b", b"ab", b"ac", b"ba", b"abc", b"abb"]


def test_set_operations_are_those_of_the_languages() -> None:
    for word in WORDS:
        a, b = A.matches(word), B.matches(word)
        assert (A & B).matches(word) == (a and b)
        assert (A - B).matches(word) == (a and not b)
        assert (A | B).matches(word) == (a or b)


@pytest.mark.parametrize(
    ("pattern", "words"), [("abc|d", 2), ("[0-9]{3}", 1000), ("a*", None), ("(a|b){50}", None)]
)
def test_words_are_counted_while_there_are_few(pattern: str, words: int | None) -> None:
    assert text_language(pattern).words == words


def test_nothing_and_everything() -> None:
    assert NOTHING.is_empty
    assert EVERYTHING.matches(b"\x00\xff")
    assert (A - EVERYTHING).is_empty


def test_equal_states_are_merged() -> None:
    assert text_language("(aa|ab|ba|bb)*").states == 2


def test_an_nfa_has_a_largest_size() -> None:
    nfa = Nfa()
    nfa.states = MAX_NFA
    with pytest.raises(GrammarError, match="states"):
        nfa.state()
