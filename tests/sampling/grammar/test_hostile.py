"""Hostile grammars end in an error or a program, by bounds that do not depend on the machine."""

import json

import pytest

from gnomon.sampling.grammar.compile import (
    compile_choice,
    compile_gbnf,
    compile_json_schema,
    compile_regex,
)
from gnomon.sampling.grammar.errors import MAX_ROWS, GrammarError

DEEP = json.loads("[" * 400 + "]" * 400)


def nested(depth: int) -> dict:
    schema: dict = {"type": "integer"}
    for _ in range(depth):
        schema = {"anyOf": [schema, {"items": schema}]}
    return schema


HOSTILE = {
    "nested repeats": lambda: compile_regex("((a{1000}){1000}){1000}"),
    "exponential subsets": lambda: compile_regex("(a|b)*a(a|b){60}"),
    "deep groups": lambda: compile_regex("(" * 5000 + ")" * 5000),
    "gbnf nested repeats": lambda: compile_gbnf('root ::= (((x{900}){900}){900})\nx ::= "a" root?'),
    "gbnf deep groups": lambda: compile_gbnf("root ::= " + "(" * 9000 + ")" * 9000),
    "products of alternatives": lambda: compile_json_schema(
        {"allOf": [{"anyOf": [{"pattern": f"a{i * j}"} for j in range(30)]} for i in range(2, 30)]}
    ),
    "wide oneOf": lambda: compile_json_schema(
        {"oneOf": [{"properties": {f"p{i}": {"const": i}}} for i in range(200)]}
    ),
    "reference cycle": lambda: compile_json_schema(
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "cycle through anyOf": lambda: compile_json_schema({"anyOf": [{"$ref": "#"}, {"const": 1}]}),
    "deep schema": lambda: compile_json_schema({"not": {"const": DEEP}}),
    "large multiple": lambda: compile_json_schema({"multipleOf": 987654321.123}),
    "large schema": lambda: compile_json_schema(
        {"properties": {f"n{i}": {"enum": [f"{j}" * 80 for j in range(50)]} for i in range(3000)}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_grammar_ends_in_an_error(name: str) -> None:
    with pytest.raises(GrammarError):
        HOSTILE[name]()


def test_a_hundred_thousand_alternatives_compile_or_are_refused() -> None:
    words = [f"{i * 7919 % 100_000:05d}" for i in range(100_000)]
    assert compile_choice(words).rows < MAX_ROWS
    grammar = "root ::= " + " | ".join(f'"{w}{w}{w}"' for w in words)
    with pytest.raises(GrammarError):
        compile_gbnf(grammar)


def test_shared_subschemas_do_not_multiply() -> None:
    assert compile_json_schema(nested(40)).rows < 100_000
