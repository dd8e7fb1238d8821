"""GBNF: what the notation means, and where a bad grammar breaks."""

from collections.abc import Callable

import pytest

from gnomon.sampling.grammar.compile import compile_gbnf
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.program import CompiledGrammar

Accepts = Callable[[CompiledGrammar, str], bool]


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        ('root ::= "a" | "b" "c"', ["a", "bc"], ["", "b", "ac"]),
        ('root ::= [a-c]{2} [^x]', ["abz", "cc\u00e9"], ["abx", "ab", "adz"]),
        ('root ::= "x"{2,} | "y"{,2} "!"', ["xx", "xxxx", "!", "yy!"], ["x", "yyy!"]),
        ('root ::= . .', ["ab", "\u00e9\U0001f600", "\n\n"], ["a", "abc"]),
        ('root ::= ("a" # one\n | "b"\n)+ # two\n', ["a", "bab"], [""]),
        ('root ::= expr\nexpr ::= expr "+" n | n\nn ::= [0-9]+', ["1", "1+22+3"], ["1+", "+1"]),
        ('root ::= "(" root ")" | ', ["", "(())"], ["(", "())"]),
        ('root ::= a\na ::= b "x" | "y"\nb ::= a | "z"', ["y", "zx", "yxx"], ["z", "x"]),
        (r'root ::= "\x41\u00e9\U0001F600\n\t\\\"\[\]"', ['A\u00e9\U0001f600\n\t\\"[]'], ["A"]),
        ('root ::= [\\]\\-a]+', ["]-a"], ["b"]),
        ('root ::= [ab\n]', ["\n"], ["c"]),
        ('root ::= list\nlist ::= "x" list | ""', ["", "xxxxx"], ["xy"]),
    ],
)  # fmt: skip
def test_grammar_takes_its_words_only(
    grammar: str, good: list[str], bad: list[str], accepts: Accepts
) -> None:
    compiled = compile_gbnf(grammar)
    for text in good:
        assert accepts(compiled, text), text
    for text in bad:
        assert not accepts(compiled, text), text


@pytest.mark.parametrize(
    ("grammar", "line", "column", "reason"),
    [
        ('root ::= "a" other', 1, 14, "'other' is not defined"),
        ('root ::= "a"\nroot ::= "b"', 2, 1, "defined twice"),
        ('toor ::= "a"', 1, 1, "no rule 'root'"),
        ("", 1, 1, "no rule 'root'"),
        ('root ::= ("a"', 1, 10, r"group without '\)'"),
        ('root ::= "a', 1, 10, "closing"),
        ("root ::= [a", 1, 10, r"class without '\]'"),
        ('root = "a"', 1, 6, "expected '::='"),
        ('root ::= "a" )', 1, 14, "end of the rule"),
        ('root ::= "\\q"', 1, 11, "unknown escape"),
        ('root ::= "a"{3,1}', 1, 13, "out of order"),
        ('root ::= "a"{9999999}', 1, 13, "beyond"),
        ("root ::= [z-a]", 1, 14, "out of order"),
        ("root ::= <think>", 1, 10, "no token '<think>'"),
        ("root ::= <[99999999999]>", 1, 10, "token id 99999999999, expected"),
        ("root ::= <[\u00b2]>", 1, 10, "no token"),
        ('root ::= "a"{\u00b2}', 1, 13, "expected {m}"),
        (f'root ::= "a"{{{"9" * 5000}}}', 1, 13, "beyond"),
        ('root ::= "\\x+1"', 1, 13, "hexadecimal digits of a character"),
        ('root ::= "\\ud800"', 1, 13, "hexadecimal digits of a character"),
    ],
)
def test_a_bad_grammar_says_where_and_why(
    grammar: str, line: int, column: int, reason: str
) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        compile_gbnf(grammar)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("terminal", ["<[300]>", "!<[300]>"])
def test_token_ids_are_below_the_vocabulary_s_size(terminal: str) -> None:
    compile_gbnf(f'root ::= "a" {terminal}', n_vocab=301)
    with pytest.raises(GrammarError, match=r"token id 300, expected .* size 300") as caught:
        compile_gbnf(f'root ::= "a" {terminal}', n_vocab=300)
    assert caught.value.column == 14


def test_a_grammar_without_words_is_refused() -> None:
    with pytest.raises(GrammarError, match="nothing matches"):
        compile_gbnf('root ::= "a" root')


def test_tokens_are_named_by_text_through_the_vocabulary() -> None:
    names = {"<think>": 7}
    compiled = compile_gbnf("root ::= <think> !<[9]>", token_id=names.get)
    assert compiled.kind == "gbnf"
    assert 7 in compiled.arrays[0][:, 1]
