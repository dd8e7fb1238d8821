"""JSON Schema: what each keyword lets through, the order of members, refusals with their place."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gnomon.sampling.grammar.compile import compile_json_schema
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.program import CompiledGrammar

Accepts = Callable[[CompiledGrammar, str], bool]
INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, [1, "x", None, {"a": [1.5]}], []),
        ({"type": ["integer", "null"]}, [1, -5, None], [1.5, "1", True]),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 2.5}, [0.1, 2.5], [0, 2.51, -1]),
        ({"multipleOf": 0.01}, [1.25, 3, "x"], [1.255]),
        ({"enum": ["a", 1, None, [1], {"k": 2}]}, ["a", 1, None, [1], {"k": 2}], ["b", 2, [2]]),
        ({"const": {"a": [1, "x"]}}, [{"a": [1, "x"]}], [{"a": [1]}, {}]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "\u00e9\u00e9"], ["a", "abcd"]),
        ({"pattern": "^a+$", "maxLength": 3}, ["a", "aaa", 5], ["aaaa", "b", ""]),
        ({"items": INTEGER, "minItems": 1, "maxItems": 2}, [[1], [1, 2]], [[], [1, 2, 3], ["x"]]),
        ({"prefixItems": [INTEGER, {}], "items": False}, [[], [1], [1, "x"]], [["x"], [1, 2, 3]]),
        ({"items": [INTEGER], "additionalItems": {"type": "null"}}, [[1, None]], [[1, 2]]),
        ({"contains": {"const": 5}, "maxContains": 1}, [[5], [1, 5, 2]], [[], [5, 5], [1]]),
        ({"items": {"enum": [1, 2, 3]}, "uniqueItems": True}, [[1, 3], []], [[1, 1], [4]]),
        ({"properties": {"a": INTEGER}, "required": ["a"]}, [{"a": 1}, {"a": 1, "z": 0}], [{}]),
        ({"additionalProperties": INTEGER}, [{}, {"x": 1}], [{"x": "1"}]),
        ({"patternProperties": {"^n": INTEGER}}, [{"n1": 1, "m": "x"}], [{"n": "x"}]),
        ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
        ({"maxProperties": 1}, [{}, {"a": 1}], [{"a": 1, "b": 2}]),
        ({"minProperties": 1}, [{"a": 1}, 5], [{}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"allOf": [{"minimum": 2}, {"maximum": 4}]}, [2, 4, "x"], [1, 5]),
        ({"anyOf": [INTEGER, {"minLength": 2}]}, [1, "ab"], ["a"]),
        ({"oneOf": [INTEGER, {"minimum": 2}]}, [1, 2.5, "x"], [3, 1.5]),
        ({"not": {"required": ["a"]}}, [{}, {"b": 1}], [{"a": 1}, 7]),
        ({"not": {"properties": {"a": INTEGER}}}, [{"a": "x"}], [{}, {"a": 1}, 5]),
        ({"not": {"items": INTEGER}}, [["x"], [1, "x"]], [[], [1], "y"]),
        ({"not": {"additionalProperties": False}}, [{"a": "x"}], [{}, 5]),
        (
            {"not": {"additionalProperties": False, "properties": {"a": INTEGER}}},
            [{"a": "x"}, {"b": 1}],
            [{}, {"a": 1}],
        ),
        (
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 0}},
            [{}, {"a": 1, "b": 1}],
            [{"a": 1}, {"c": 1}],
        ),
        (
            {"$ref": "#/$defs/t", "$defs": {"t": {"items": {"$ref": "#"}, "type": "array"}}},
            [[], [[], [[]]]],
            [[1], {}],
        ),
        (
            {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
            [{}, {"a": 1}],
            [{"b": 1}],
        ),
        ({"format": "date"}, ["2024-02-29", 5], ["2023-02-29"]),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict | bool) else None,
)  # fmt: skip
@pytest.mark.parametrize("order", ["declared", "free"])
def test_keyword_takes_valid_values_only(
    schema: Any, good: list, bad: list, order: str, accepts: Accepts
) -> None:
    compiled = compile_json_schema(schema, property_order=order)
    for value in good:
        assert accepts(compiled, json.dumps(value, ensure_ascii=False)), value
    for value in bad:
        assert not accepts(compiled, json.dumps(value, ensure_ascii=False)), value


TWO = {"properties": {"a": INTEGER, "b": INTEGER}, "additionalProperties": INTEGER}


def test_declared_order_is_kept(accepts: Accepts) -> None:
    compiled = compile_json_schema(TWO)
    assert accepts(compiled, '{"a":1,"b":2,"z":3}')
    assert not accepts(compiled, '{"b":1,"a":2}')
    assert not accepts(compiled, '{"z":1,"a":2}')


def test_free_order_takes_any_order_once_each(accepts: Accepts) -> None:
    compiled = compile_json_schema(TWO, property_order="free")
    assert accepts(compiled, '{"z":1,"b":1,"a":2}')
    assert not accepts(compiled, '{"a":1,"a":2}')


def test_closed_objects_forbid_other_members(accepts: Accepts) -> None:
    schema = {"properties": {"a": INTEGER}}
    assert accepts(compile_json_schema(schema), '{"a":1,"b":2}')
    assert not accepts(compile_json_schema(schema, closed_objects=True), '{"a":1,"b":2}')


@pytest.mark.parametrize("text", ['{ "a" : [ 1 , 2 ] }', '{\n  "a": [\n    1\n  ]\n}', '{"a":[]}'])
def test_white_space_may_stand_between_tokens(text: str, accepts: Accepts) -> None:
    assert accepts(compile_json_schema({"type": "object"}), text)


@pytest.mark.parametrize(
    "text", [' {"a":1}', '{"a":1} ', "01", '"\t"', '"\\x"', '"\\ud800"', "tru"]
)
def test_what_is_not_one_json_text_is_refused(text: str, accepts: Accepts) -> None:
    assert not accepts(compile_json_schema(True), text)


@pytest.mark.parametrize("text", [r'"\u0041\n\/\ud83d\ude00"', r'"é\"\\"'])
def test_free_strings_take_every_spelling(text: str, accepts: Accepts) -> None:
    assert accepts(compile_json_schema({"type": "string", "maxLength": 5}), text)


def test_formats_are_asserted_or_not(accepts: Accepts) -> None:
    schema = {"type": "string", "format": "date"}
    assert not accepts(compile_json_schema(schema), '"x"')
    assert accepts(compile_json_schema(schema, assert_formats=False), '"x"')


def test_an_unknown_format_is_noted() -> None:
    assert "format 'colour'" in compile_json_schema({"format": "colour"}).notes[0]


def test_remote_documents_are_used(accepts: Accepts) -> None:
    remotes = {"http://x.org/int": INTEGER}
    compiled = compile_json_schema({"$ref": "http://x.org/int"}, remotes=remotes)
    assert accepts(compiled, "5")


class _Point(msgspec.Struct):
    x: int
    label: str = ""


class _Model:
    @staticmethod
    def model_json_schema() -> dict[str, Any]:
        return {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}


@pytest.mark.parametrize("source", [_Point, _Model])
def test_classes_serve_as_schemas(source: type, accepts: Accepts) -> None:
    compiled = compile_json_schema(source)
    assert accepts(compiled, '{"x": 1}')
    assert not accepts(compiled, "{}")


@pytest.mark.parametrize(
    ("schema", "pointer", "reason"),
    [
        ({"items": {"pattern": "("}}, "/items/pattern", "missing"),
        ({"properties": {"a/b": {"type": "int"}}}, "/properties/a~1b/type", "unknown type"),
        ({"allOf": [{}, {"minLength": -1}]}, "/allOf/1/minLength", "non-negative"),
        ({"properties": {"u": {"uniqueItems": True}}}, "/properties/u", "uniqueItems"),
        ({"anyOf": [{"format": "regex"}]}, "/anyOf/0/format", "cannot be enforced"),
        ({"$ref": "#/nowhere"}, "", "no such place"),
        ({"items": {"$ref": "http://other"}}, "/items", "leads outside"),
        ({"$ref": "#"}, "", "leads to itself"),
        ({"type": "string", "enum": [1]}, "", "nothing matches"),
        ({"properties": []}, "/properties", "expected an object"),
        ({"items": 5}, "/items", "expected a schema"),
        ({"items": None}, "/items", "expected a schema"),
        ({"items": [], "additionalItems": None}, "/additionalItems", "expected a schema"),
        ({"contains": None}, "/contains", "expected a schema"),
        ({"additionalProperties": None}, "/additionalProperties", "expected a schema"),
        ({"propertyNames": None}, "/propertyNames", "expected a schema"),
        ({"exclusiveMinimum": None}, "/exclusiveMinimum", "expected a number"),
        ({"format": None}, "/format", "expected the name of a format"),
        ({"$ref": 5}, "/$ref", "expected a reference"),
        ({"not": {"uniqueItems": True}}, "", "negation of uniqueItems"),
        ({"minProperties": 3}, "", "minProperties 3"),
        ({"not": {"additionalProperties": INTEGER}}, "", "might be repeated"),
        ({"multipleOf": 0}, "/multipleOf", "above 0"),
        ({"required": "a"}, "/required", "list of names"),
        ({"dependentRequired": {"a": [5]}}, "/dependentRequired/a", "list of names"),
        ({"minimum": float("inf")}, "/minimum", "found inf"),
        ({"maxItems": float("nan")}, "/maxItems", "found nan"),
        ({"items": {"const": float("inf")}}, "/items", "finite number, found inf"),
        ({"enum": [10**5000]}, "", "bits, at most"),
    ],
)
def test_what_cannot_be_enforced_is_refused_with_its_place(
    schema: Any, pointer: str, reason: str
) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        compile_json_schema(schema)
    assert caught.value.pointer == pointer


NO_WORD_FITS = [
    {"type": "string", "pattern": "^[a-c]+$", "maxLength": 0},
    {"type": "string", "pattern": "^(a|foo)$", "minLength": 5},
    {"type": "string", "pattern": "^a*$", "minLength": 3, "maxLength": 3, "not": {"const": "aaa"}},
    {"type": "string", "maxLength": 0, "not": {"const": ""}},
    {"type": "string", "not": {"pattern": ""}},
]


@pytest.mark.parametrize("schema", NO_WORD_FITS)
def test_a_string_that_nothing_fits_is_never_begun(schema: Any) -> None:
    with pytest.raises(GrammarError, match="nothing matches"):
        compile_json_schema(schema)
    members = {"properties": {"a": schema}, "additionalProperties": False}
    with pytest.raises(GrammarError, match="nothing matches"):
        compile_json_schema({"type": "object", "minProperties": 1, **members})


def test_a_lone_surrogate_is_written_as_its_escape(accepts: Accepts) -> None:
    assert accepts(compile_json_schema({"const": "a\ud800"}), r'"a\ud800"')


@pytest.mark.parametrize("source", [5, "x", None, int])
def test_other_sources_are_refused(source: object) -> None:
    with pytest.raises(GrammarError, match="expected a schema"):
        compile_json_schema(source)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="property_order"):
        compile_json_schema({}, property_order="random")
