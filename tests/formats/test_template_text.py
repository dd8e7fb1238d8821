"""Marked strings: equal to plain ones in every way, and each character keeps its mark."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from gnomon.formats.template_text import OwnText, add, concat, is_own, own, spans_of

MIXED = concat(["ab", own("<x>"), "c ", own(" <y> ")])


def marked(text: str) -> str:
    """The text's own characters, a dot for each of the others."""
    spans = spans_of(text)
    return "".join(
        char if any(start <= at < stop for start, stop in spans) else "."
        for at, char in enumerate(str.__str__(text))
    )


def test_a_literal_is_own_throughout() -> None:
    assert spans_of(own("ab")) == ((0, 2),)
    assert is_own(own("ab"))
    assert not is_own("ab")
    assert not is_own(MIXED)


def test_a_copy_of_the_type_alone_is_not_own() -> None:
    assert spans_of(OwnText("<x>")) == ()


def test_joined_texts_keep_their_marks() -> None:
    assert marked(MIXED) == "..<x>.. <y> "
    assert spans_of(concat([own("a"), own("b")])) == ((0, 2),)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (MIXED + "z", "..<x>.. <y> ."),
        ("z" + MIXED, "...<x>.. <y> "),
        (MIXED.strip(), "..<x>.. <y>"),
        (MIXED.lstrip("a"), ".<x>.. <y> "),
        (MIXED.rstrip(), "..<x>.. <y>"),
        (MIXED[1:4], ".<x"),
        (MIXED[-4:], "<y> "),
        (own(", ").join(["a", own("b")]), "., b"),
        (MIXED.split("c")[0], "..<x>"),
        (MIXED.split()[1], "<y>"),
        (MIXED.rsplit("x", 1)[1], ">.. <y> "),
        (MIXED.replace("c", "__"), "..<x>... <y> "),
        (MIXED.replace("x", own("long")), "..<long>.. <y> "),
        (str(MIXED), "..<x>.. <y> "),
    ],
)
def test_operations_of_templates_keep_the_marks(made: str, expected: str) -> None:
    assert marked(made) == expected


def test_other_operations_lose_the_marks() -> None:
    assert [spans_of(made) for made in (own("a").upper(), own("ab")[::-1], own("%s") % 1)] == [
        ()
    ] * 3


@given(st.text("ab <>", max_size=12), st.text("ab <>", min_size=1, max_size=3), st.integers(-1, 3))
def test_every_operation_gives_the_text_a_plain_string_gives(
    text: str, other: str, count: int
) -> None:
    left = OwnText(text, ((0, len(text) // 2),)) if len(text) > 1 else own(text)

    def results(value: str) -> list[Any]:
        return [
            value + other,
            other + value,
            value.strip(other),
            value.lstrip(),
            value.rstrip(other),
            value.split(other, count),
            value.rsplit(other, count),
            value.split(None, count),
            value.rsplit(None, count),
            value.replace(other, "xy", count),
            value.join([other, other]),
            value[count:],
            value[:count],
            value == text,
            hash(value),
        ]

    assert results(left) == results(text)


def test_markup_escapes_what_it_is_added_to() -> None:
    assert add(own("<a>"), Markup("b")) == "<a>" + Markup("b")
    assert add(Markup("b"), "<a>") == Markup("b") + "<a>"


def test_marks_stay_beside_markup_that_escapes_nothing() -> None:
    assert marked(add(own("[A]"), Markup("<b>"))) == "[A]..."
    assert marked(add(own("<a>"), Markup("b"))) == "." * 10


def test_a_text_cut_into_very_many_parts_loses_its_marks() -> None:
    parts = own("a " * 2000).split()
    assert parts == ["a"] * 2000
    assert spans_of(parts[0]) == ()


def test_adding_what_is_no_text_is_a_type_error() -> None:
    number: Any = 1
    with pytest.raises(TypeError):
        own("a") + number
    with pytest.raises(TypeError):
        own("a").join(["b", number])
