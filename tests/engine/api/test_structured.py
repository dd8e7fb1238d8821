"""Structured output: which setting holds, and what is parsed."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.api.structured import (
    BaseModel,
    LlmStructuredPredictionSetting,
    parse_structured,
    structured_setting,
)
from gnomon.engine.errors import LMStudioValueError


class Book(BaseModel):
    title: str
    year: int = 0


class Shelf(BaseModel):
    books: list[Book]


class Branch(BaseModel):
    next: Branch | None = None


SCHEMA = {"type": "object", "properties": {"a_b": {"type": "string"}}}


def test_a_class_gives_its_schema() -> None:
    setting = structured_setting(Book, None)
    assert setting is not None
    assert setting["jsonSchema"]["properties"]["title"] == {"type": "string"}
    assert setting["jsonSchema"]["required"] == ["title"]


def test_inner_classes_stay_definitions() -> None:
    assert list(Shelf.model_json_schema()["$defs"]) == ["Book"]


def test_a_class_that_holds_itself_stays_a_definition() -> None:
    schema = Branch.model_json_schema()
    assert {"$ref": "#/$defs/Branch"} in schema["properties"]["next"]["anyOf"]
    assert schema["$defs"]["Branch"]["type"] == "object"


def test_a_schema_is_wrapped_and_its_keys_stay() -> None:
    assert structured_setting(SCHEMA, None) == {"type": "json", "jsonSchema": SCHEMA}


@pytest.mark.parametrize(
    "setting",
    [
        {"type": "gbnf", "gbnfGrammar": 'root ::= "a"'},
        {"type": "json", "jsonSchema": SCHEMA},
        {"type": "choice", "choices": ["a", "b"]},
    ],
)
def test_a_setting_is_taken_as_it_is(setting: dict[str, Any]) -> None:
    assert structured_setting(setting, None) == setting


def test_a_setting_struct_is_taken() -> None:
    given = LlmStructuredPredictionSetting(type="gbnf", gbnf_grammar="root ::= x")
    assert structured_setting(given, None) == {"type": "gbnf", "gbnfGrammar": "root ::= x"}


@pytest.mark.parametrize("given", [{"$ref": "#/x"}, "json", 3])
def test_other_formats_are_refused(given: Any) -> None:
    with pytest.raises(LMStudioValueError, match="could not read response_format"):
        structured_setting(given, None)


def test_two_settings_are_refused() -> None:
    with pytest.raises(LMStudioValueError, match="not both"):
        structured_setting(SCHEMA, {"type": "json"})


def test_type_none_is_free_text() -> None:
    assert structured_setting(None, {"type": "none"}) is None


@pytest.mark.parametrize(
    "given", [{"type": "none", "jsonSchema": {}}, LlmStructuredPredictionSetting(type="none")]
)
def test_a_format_of_type_none_is_free_text(given: Any) -> None:
    assert structured_setting(given, None) is None


def test_a_json_object_is_parsed() -> None:
    assert parse_structured('{"a": 1}', '{"a": 1}', {"type": "json"}) == {"a": 1}


def test_reasoning_in_front_is_not_parsed() -> None:
    assert parse_structured('<think>x</think>{"a": 1}', '{"a": 1}', {"type": "json"}) == {"a": 1}


@pytest.mark.parametrize("content", ['{"a": ', "[1]", "3", "", "[" * 100_000])
def test_anything_else_stays_text(content: str) -> None:
    assert parse_structured(content, content, {"type": "json"}) is content


def test_free_text_is_never_parsed() -> None:
    assert parse_structured('{"a": 1}', '{"a": 1}', None) == '{"a": 1}'
