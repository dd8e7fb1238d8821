"""Errors name their place; budgets end."""

import pytest

from gnomon.sampling.grammar.errors import GrammarError, budget, spend


def test_error_text_begins_with_the_place() -> None:
    assert str(GrammarError("bad", line=2, column=7)) == "line 2, column 7: bad"
    assert str(GrammarError("bad", pointer="/a/0")) == "/a/0: bad"
    assert str(GrammarError("bad", pointer="")) == "(root): bad"


def test_a_budget_ends_in_an_error_and_is_gone_afterwards() -> None:
    with pytest.raises(GrammarError, match="too much work"), budget(10):
        spend(11)
    spend(1_000_000_000)


def test_an_inner_budget_draws_on_the_outer_one() -> None:
    with pytest.raises(GrammarError, match="too much work"), budget(10), budget(100):
        spend(50)
