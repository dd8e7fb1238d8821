"""unevaluatedProperties and unevaluatedItems see what in-place subschemas evaluate."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gnomon.sampling.grammar.compile import compile_json_schema
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.program import CompiledGrammar

A, B = {"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"allOf": [A, B]}, [{"a": 1, "b": 2}], [{"c": 1}]),
        ({"anyOf": [A, {**B, "required": ["b"]}]}, [{"a": 1, "b": 2}, {"b": 1}], [{"c": 1}]),
        (
            {"if": {**A, "required": ["a"]}, "then": B, "else": {}},
            [{"a": 1, "b": 2}, {}],
            [{"b": 2}],
        ),
        ({"$ref": "#/$defs/a", "$defs": {"a": A}}, [{"a": 1}], [{"b": 1}]),
        ({"not": {"not": A}}, [{}], [{"a": 1}]),
    ],
)
def test_members_no_subschema_speaks_of_are_forbidden(
    schema: dict[str, Any],
    good: list,
    bad: list,
    accepts: Callable[[CompiledGrammar, str], bool],
) -> None:
    compiled = compile_json_schema({**schema, "unevaluatedProperties": False})
    for value in good:
        assert accepts(compiled, json.dumps(value)), value
    for value in bad:
        assert not accepts(compiled, json.dumps(value)), value


def test_items_that_contains_matches_are_evaluated(
    accepts: Callable[[CompiledGrammar, str], bool],
) -> None:
    schema = {"prefixItems": [True], "contains": {"const": 5}, "unevaluatedItems": False}
    compiled = compile_json_schema(schema)
    assert accepts(compiled, '["x",5,5]')
    assert not accepts(compiled, "[5,6]")


def test_too_many_cases_are_refused() -> None:
    parts = [{"properties": {f"p{i}": True}} for i in range(9)]
    with pytest.raises(GrammarError, match="at most 6"):
        compile_json_schema({"anyOf": parts, "unevaluatedProperties": False})
