"""Schemas that declare their draft: its keywords are held as `jsonschema` holds them, no others."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from gnomon.sampling.grammar.compile import compile_json_schema
from gnomon.sampling.grammar.documents import DRAFTS
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.program import CompiledGrammar

Accepts = Callable[[CompiledGrammar, str], bool]
URIS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
INTEGER = {"type": "integer"}
TEXT = {"type": "string"}
SCHEMAS: list[dict[str, Any]] = [
    {"prefixItems": [INTEGER]},
    {"prefixItems": [INTEGER], "items": TEXT},
    {"prefixItems": 5},
    {"items": [INTEGER]},
    {"items": [INTEGER], "additionalItems": False},
    {"items": TEXT, "additionalItems": False},
    {"dependencies": {"a": ["b"]}},
    {"dependencies": {"a": {"required": ["b"]}}},
    {"dependentRequired": {"a": ["b"]}},
    {"dependentSchemas": {"a": {"required": ["b"]}}},
    {"properties": {"a": INTEGER}, "unevaluatedProperties": False},
    {"prefixItems": [INTEGER], "unevaluatedItems": False},
    {"allOf": [{"prefixItems": [INTEGER]}], "unevaluatedItems": False},
    {"contains": INTEGER},
    {"contains": INTEGER, "minContains": 2},
    {"contains": INTEGER, "minContains": 0, "maxContains": 1},
    {"const": 1},
    {"propertyNames": {"maxLength": 1}},
    {"if": INTEGER, "then": {"minimum": 5}, "else": TEXT},
    {"if": 5},
    {"minimum": 1, "exclusiveMinimum": True},
    {"maximum": 1, "exclusiveMaximum": False},
    {"exclusiveMinimum": 1},
    {"anyOf": [{"not": {"prefixItems": [INTEGER]}}, TEXT]},
    {"properties": {"a": {"const": 1}}},
    {"$ref": "#/definitions/a", "definitions": {"a": INTEGER}, "minimum": 3},
    {"$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x", "type": "string"}}},
    {"type": "array", "items": {"$recursiveRef": "#"}},
]  # fmt: skip
VALUES = [
    None, 0, 1, 2, 6, 1.5, "x", [], [1], ["x"], [1, 1], [1, "x"], ["x", 1], [[1]], [[[]]],
    {}, {"a": 1}, {"a": "x"}, {"ab": 1}, {"a": 1, "b": 2}, {"b": 1},
]  # fmt: skip


def test_all_drafts_are_tried() -> None:
    assert URIS.keys() == set(DRAFTS.values())


@pytest.mark.parametrize("draft", URIS)
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_a_declared_draft_is_read_as_jsonschema_reads_it(
    schema: dict[str, Any], draft: int, accepts: Accepts
) -> None:
    declared = {"$schema": URIS[draft], **schema}
    validator = jsonschema.validators.validator_for(declared)
    try:
        validator.check_schema(declared)
    except jsonschema.SchemaError:
        with pytest.raises(GrammarError, match=r"^/\w+: expected"):
            compile_json_schema(declared)
        return
    compiled = compile_json_schema(declared, property_order="free")
    for value in VALUES:
        valid = validator(declared).is_valid(value)
        assert accepts(compiled, json.dumps(value)) == valid, value


def test_a_document_without_a_draft_is_read_as_the_one_that_refers_to_it(accepts: Accepts) -> None:
    schema = {"$schema": URIS[7], "items": {"$ref": "http://x.org/other"}}
    compiled = compile_json_schema(schema, remotes={"http://x.org/other": {"prefixItems": [TEXT]}})
    assert accepts(compiled, "[[1]]")


def test_a_schema_without_a_draft_may_use_the_keywords_of_all(accepts: Accepts) -> None:
    schema = {"items": [INTEGER], "minimum": 1, "exclusiveMinimum": True, "contains": TEXT}
    compiled = compile_json_schema({**schema, "dependencies": {"a": ["b"]}})
    for text in ("1", "[1]", '["x"]', '{"a":1}'):
        assert not accepts(compiled, text)
    for text in ("2", '[1,"x"]', '{"a":1,"b":1}'):
        assert accepts(compiled, text)
