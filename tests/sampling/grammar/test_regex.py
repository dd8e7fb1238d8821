"""Patterns match what Python's `re` matches, and bad ones say where they break."""

import re

import pytest

from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.language import any_string, string_language, text_language
from gnomon.sampling.grammar.regex import parse_regex
from gnomon.sampling.grammar.strings import inside

PATTERNS = [
    "^[A-Fa-f\\d]{3}$", "ab1", "^(http)|(https)://(.*)$", "^(?:\\S+\\s){0,2}\\S+$", "(^a|b$)",
    "a|b|^c", "^$|^\\d+$", "[^a]b?", "^(a|ab)(c|bcd)$", "x*", "^[\\w.-]+@[\\w-]+\\.\\w{2,4}$",
    "^(?!foo)[a-z]+$", "^(?!foo)[a-z]+", "^(?=.*b)a.*$", "^(?=a)(?!ab)a?b?c?",
    "a{2,3}?", "^[]a]$|^[a-]+$", "\\x41|\\u00e9|\\.", "^a$b",
]  # fmt: skip
TEXTS = [
    "", "a", "b", "ab", "ab1", "xab1x", "abc", "A1f", "A1g", "http", "https://x", "x y z", "c",
    "cc",     "12", "foo", "food", "bar", "aab", "acb", "abcd", "abbcd",
    "me@x.org", "me@x.o", "-", "é", ".",
    'quote"', "back\\slash", "tab\tnew\nline", "\u2028", "\U0001f600",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_search_agrees_with_python(pattern: str) -> None:
    language = string_language(pattern)
    for text in TEXTS:
        if "\n" in text and "$" in pattern:
            continue  # Python's $ also stands before a last newline
        python = pattern.replace("[]a]", "[\\]a]")
        wanted = re.search(python, text) is not None
        if "[]a]" in pattern:
            continue  # ECMA-262: [] is the empty set
        assert language.matches(inside(text)) == wanted, text


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if "[]a]" not in p])
def test_whole_match_agrees_with_python(pattern: str) -> None:
    language = text_language(pattern)
    for text in TEXTS:
        if "\n" not in text and "\u2028" not in text:
            wanted = re.fullmatch(pattern, text) is not None
            assert language.matches(text.encode()) == wanted, text


@pytest.mark.parametrize("pattern", PATTERNS)
def test_complement_takes_all_other_strings(pattern: str) -> None:
    language = string_language(pattern)
    rest = any_string() - language
    for text in TEXTS:
        assert rest.matches(inside(text)) != language.matches(inside(text)), text


@pytest.mark.parametrize(
    ("pattern", "column", "reason"),
    [
        ("a(b", 4, r"missing '\)'"),
        ("a)b", 2, r"unbalanced '\)'"),
        ("*a", 1, "nothing to repeat"),
        ("[b-a]", 5, "out of order"),
        ("[ab", 4, r"missing '\]'"),
        ("a{3,2}", 2, "out of order"),
        ("(a)\\1", 5, "back references"),
        ("(?<=a)b", 5, "lookbehind"),
        ("\\bword", 2, "word boundaries"),
        ("\\u12g4", 3, "hexadecimal"),
        ("\\x+1", 3, "hexadecimal"),
        ("\\u{41", 4, "missing '}'"),
        (f"a{{{'9' * 5000}}}", 2, "repetition beyond"),
        ("a\\", 3, "backslash"),
        ("\\p{Nope}", 4, "category"),
        ("a{999999}", 2, "beyond"),
    ],
)
def test_a_bad_pattern_names_its_column(pattern: str, column: int, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        parse_regex(pattern)
    assert caught.value.column == column


def test_lookahead_inside_a_pattern_is_refused() -> None:
    with pytest.raises(GrammarError, match="lookahead"):
        string_language("a(?!b)c")


def test_a_whole_match_may_begin_with_a_lookahead() -> None:
    language = text_language("(?!foo)[a-z]+")
    assert language.matches(b"bar")
    assert not language.matches(b"food")


def test_half_a_surrogate_pair_is_no_character() -> None:
    assert text_language(r"\ud83d\ude00").matches("\U0001f600".encode())
    assert text_language(r"\ud83d\u0041").is_empty


def test_a_long_alternation_without_anchors_stays_small() -> None:
    pattern = "|".join(f"(Zone{i}/[A-Za-z]+)" for i in range(40))
    assert string_language(pattern).states < 500
