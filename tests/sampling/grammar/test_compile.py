"""Regex and choice grammars, and the errors of all kinds."""

from collections.abc import Callable

import pytest

from gnomon.sampling.grammar.compile import compile_choice, compile_regex
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.program import CompiledGrammar


def test_regex_is_anchored(accepts: Callable[[CompiledGrammar, str], bool]) -> None:
    compiled = compile_regex("a|bc")
    assert accepts(compiled, "bc")
    assert not accepts(compiled, "abc")


@pytest.mark.parametrize("pattern", ["a$b", "a^", "[]", r"[^\s\S]"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(GrammarError, match="nothing matches"):
        compile_regex(pattern)


def test_choice_is_one_of_the_texts(accepts: Callable[[CompiledGrammar, str], bool]) -> None:
    choices = ["yes", "no", "not sure", "", "\u00e9"]
    compiled = compile_choice(choices)
    for text in choices:
        assert accepts(compiled, text)
    for text in ("n", "not", "yesno"):
        assert not accepts(compiled, text)


@pytest.mark.parametrize("choices", ["yes", [], [1], ["x" * 3_000_000]])
def test_bad_choices_are_errors(choices: list[str]) -> None:
    with pytest.raises(GrammarError, match="choices"):
        compile_choice(choices)
