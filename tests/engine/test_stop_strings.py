"""StopStrings: what is shown, what is held back, what stops."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.engine.stop_strings import StopStrings


def shown(stops: StopStrings, pieces: list[str]) -> str:
    text = "".join(stops.push(piece) for piece in pieces)
    return text if stops.found is not None else text + stops.flush()


def test_text_passes_when_nothing_stops_it() -> None:
    assert StopStrings([]).push("any text") == "any text"


def test_text_before_the_stop_string_is_shown_and_the_stop_string_is_not() -> None:
    stops = StopStrings(["END"])
    assert (stops.push("one two END three"), stops.found) == ("one two ", "END")


def test_the_text_behind_the_stop_string_is_kept_as_rest() -> None:
    stops = StopStrings(["END"])
    stops.push("oneENDtwo")
    assert stops.rest == "two"


def test_a_possible_beginning_is_held_back() -> None:
    assert StopStrings(["END"]).push("one E") == "one "


def test_a_beginning_that_leads_nowhere_is_shown_later() -> None:
    stops = StopStrings(["END"])
    assert [stops.push("E"), stops.push("x")] == ["", "Ex"]


def test_the_longest_possible_beginning_is_held_back() -> None:
    stops = StopStrings(["aab"])
    assert [stops.push("aaa"), stops.push("b"), stops.found] == ["a", "", "aab"]


def test_flush_gives_what_was_held_back() -> None:
    stops = StopStrings(["END"])
    stops.push("xE")
    assert stops.flush() == "E"


def test_the_stop_string_that_completes_first_wins() -> None:
    stops = StopStrings(["abcd", "c"])
    assert (stops.push("abcd"), stops.found) == ("ab", "c")


def test_of_those_that_complete_together_the_longest_wins() -> None:
    stops = StopStrings(["c", "bc"])
    assert (stops.push("abc"), stops.found) == ("a", "bc")


def test_nothing_is_shown_after_a_stop_string() -> None:
    stops = StopStrings(["."])
    stops.push("one.")
    assert stops.push("two") == ""


@given(
    text=st.text(alphabet="ab", max_size=24),
    strings=st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 24), max_size=6),
)
def test_how_the_text_is_cut_changes_nothing(
    text: str, strings: list[str], cuts: list[int]
) -> None:
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in pairwise(bounds)]
    assert shown(StopStrings(strings), pieces) == shown(StopStrings(strings), list(text))


@pytest.mark.parametrize("text", ["", "b", "aaaa"])
def test_text_without_the_stop_string_is_shown_whole(text: str) -> None:
    assert shown(StopStrings(["ab", "ba"]), list(text)) == text
