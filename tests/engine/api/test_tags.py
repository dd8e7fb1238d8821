"""TagSplitter: text in tags is told from the rest, however the text is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gnomon.engine.api.tags import TagSplitter

TAGS = {"<think>": "</think>", "[CALL]": "[/CALL]"}


def split(pieces: list[str], open_tag: str | None = None) -> list[tuple[str, str]]:
    """Parts of the pieces, neighbours of one kind joined."""
    splitter = TagSplitter(TAGS, open_tag)
    parts = [part for piece in pieces for part in splitter.push(piece)] + list(splitter.flush())
    joined: list[tuple[str, str]] = []
    for kind, text in parts:
        if joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    return joined


def test_a_section_is_told_from_what_surrounds_it() -> None:
    assert split(["a<think>b</think>c"]) == [
        ("outside", "a"),
        ("start", "<think>"),
        ("inside", "b"),
        ("end", "</think>"),
        ("outside", "c"),
    ]


def test_each_opening_tag_has_its_own_closing_tag() -> None:
    assert split(["[CALL]a</think>b[/CALL]"])[1] == ("inside", "a</think>b")


def test_a_prompt_may_have_opened_a_section() -> None:
    assert split(["b</think>c"], "<think>")[0] == ("inside", "b")


def test_an_unfinished_section_stays_inside() -> None:
    assert split(["<think>b"]) == [("start", "<think>"), ("inside", "b")]


def test_half_a_tag_is_held_back() -> None:
    assert [part.text for part in TagSplitter(TAGS).push("a<thi")] == ["a"]


def test_half_a_tag_at_the_end_is_text() -> None:
    assert split(["a<thi"]) == [("outside", "a<thi")]


def test_without_tags_everything_is_outside() -> None:
    assert list(TagSplitter({}).push("<think>")) == [("outside", "<think>")]


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "[CALL]", "[/CALL]", "a", "<"]), max_size=9)
)
def test_how_the_text_is_cut_changes_nothing(words: list[str]) -> None:
    text = "".join(words)
    assert split([text]) == split(list(text))
