"""Tools: definitions from functions, calls from text, the format for templates without tools."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.api.config import parse_prediction_config
from gnomon.engine.api.structs import ValidationError
from gnomon.engine.api.tools import (
    ToolFunctionDef,
    checked_definitions,
    default_format,
    parse_call,
    prepare_tools,
    raw_tools,
)
from gnomon.engine.errors import LMStudioValueError


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def test_a_function_becomes_a_definition() -> None:
    assert prepare_tools([add])["add"].definition["function"] == {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}},
            "required": ["a"],
        },
    }


def test_a_dict_of_four_keys_is_a_tool() -> None:
    given: Any = {
        "name": "plus",
        "description": "Add.",
        "parameters": {"a": int, "b": {"type": int, "default": 2}},
        "implementation": add,
    }
    assert prepare_tools([given])["plus"].checked({"a": 1}) == {"a": 1, "b": 2}


def test_name_and_description_may_be_given() -> None:
    tool = ToolFunctionDef.from_callable(add, name="plus", description="Sum.")
    assert (tool.name, tool.description) == ("plus", "Sum.")


def test_arguments_are_strict_and_defaults_filled_in() -> None:
    tool = prepare_tools([add])["add"]
    assert tool.checked({"a": 1, "extra": 3}) == {"a": 1, "b": 2}
    for wrong in ({"a": "1"}, {"a": 1.0}, {}):
        with pytest.raises(ValidationError):
            tool.checked(wrong)


def test_no_tools_are_refused() -> None:
    with pytest.raises(LMStudioValueError, match="at least one tool"):
        prepare_tools([])


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="two tools are named 'add'"):
        prepare_tools([add, add])


def test_a_coroutine_is_refused() -> None:
    async def later() -> int:
        """Wait."""
        return 1

    with pytest.raises(LMStudioValueError, match="asynchronous"):
        prepare_tools([later])


def test_a_function_without_docstring_is_refused() -> None:
    def bare(a: int) -> int:
        return a

    with pytest.raises(LMStudioValueError, match="'bare' has no docstring"):
        prepare_tools([bare])


def test_a_lambda_has_no_usable_name() -> None:
    with pytest.raises(LMStudioValueError, match="no usable name"):
        prepare_tools([lambda: 1])


def test_a_parameter_without_type_hint_is_refused() -> None:
    def loose(a, b=1):  # type: ignore[no-untyped-def]
        """Take anything."""

    with pytest.raises(LMStudioValueError, match="'a' has no type hint"):
        prepare_tools([loose])


def test_a_parameter_without_type_is_a_type_error() -> None:
    tool = ToolFunctionDef(name="x", description="y", parameters={"a": {}}, implementation=add)
    with pytest.raises(TypeError, match="needs a 'type'"):
        prepare_tools([tool])


def test_what_is_no_tool_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="found int"):
        prepare_tools([3])  # type: ignore[list-item]


@pytest.mark.parametrize("key", ["arguments", "parameters"])
def test_a_call_is_read(key: str) -> None:
    call = parse_call(f'{{"name": "add", "{key}": {{"a": 1}}}}', 7)
    assert call is not None
    assert (call.name, call.arguments, call.id) == ("add", {"a": 1}, "7")


@pytest.mark.parametrize(
    "text", ["", "add(1)", "[]", '{"arguments": {}}', '{"name": "a", "arguments": 3}']
)
def test_a_call_of_another_shape_is_none(text: str) -> None:
    assert parse_call(text, 0) is None


def test_raw_tools_gives_the_definitions() -> None:
    tools = [{"type": "function", "function": {"name": "x"}}]
    config = parse_prediction_config({"rawTools": {"type": "toolArray", "tools": tools}})
    assert raw_tools(config) == tools
    assert raw_tools(parse_prediction_config({"rawTools": {"type": "none"}})) is None


def test_raw_tools_of_another_shape_are_refused() -> None:
    config = parse_prediction_config({"rawTools": {"type": "toolArray", "tools": "all"}})
    with pytest.raises(LMStudioValueError, match=r"rawTools\.tools"):
        raw_tools(config)


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ({"type": "function"}, "found no 'function', expected a dict with a name"),
        ({3: 4}, "found no 'function'"),
        ({"function": "x"}, "function is 'x', expected a dict with a name"),
        ({"function": {"description": "d"}}, "function: found no 'name', expected a text"),
        ({"function": {"name": 3}}, "function: name is 3, expected a text"),
        ({"function": {"name": "x", "parameters": {"a": int}}}, "expected what JSON can hold"),
    ],
)
def test_a_definition_that_is_none_is_refused_with_its_place(tool: Any, reason: str) -> None:
    with pytest.raises(LMStudioValueError, match=rf"^here\[1\]: {reason}"):
        checked_definitions([{"function": {"name": "x"}}, tool], "here")


def test_raw_tools_without_a_type_are_refused() -> None:
    with pytest.raises(LMStudioValueError, match="rawTools: found no 'type'"):
        parse_prediction_config({"rawTools": {"tools": []}})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "add"}, "tool 'add': found no 'description', no 'parameters', no 'impl"),
        ({"type": "function"}, r"found .*the key 'type'; expected the keys name, description, "),
        ({1: 2}, "the key 1;"),
    ],
)
def test_a_tool_s_dict_has_four_keys(given: Any, reason: str) -> None:
    with pytest.raises(LMStudioValueError, match=reason):
        prepare_tools([given])


def test_default_format_describes_tools_in_the_system_prompt() -> None:
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    first, *rest = default_format(messages, [{"function": {"name": "add"}}])
    assert first["content"].startswith("be kind\n\nYou can call tools")
    assert '"add"' in first["content"]
    assert rest == messages[1:]


def test_default_format_adds_a_system_prompt_if_there_is_none() -> None:
    messages = [{"role": "user", "content": "hi"}]
    assert [m["role"] for m in default_format(messages, [{}])] == ["system", "user"]


def test_default_format_writes_calls_and_results_as_text() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": "so", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
    ]
    assert default_format(messages, None) == [
        {
            "role": "assistant",
            "content": 'so\n[TOOL_REQUEST]{"name": "add", "arguments": {"a": 1}}[END_TOOL_REQUEST]',
        },
        {"role": "user", "content": "[TOOL_RESULT]3[END_TOOL_RESULT]"},
    ]


def test_default_format_leaves_other_messages_alone() -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    assert default_format(messages, None) == messages


def test_each_call_has_a_list_of_its_own_by_default() -> None:
    def collect(found: list[int] = [1, 2]) -> list[int]:  # noqa: B006
        """Collect numbers."""
        return found

    tool = prepare_tools([collect])["collect"]
    tool.checked({})["found"].append(3)
    assert tool.checked({}) == {"found": [1, 2]}


def test_a_type_without_a_schema_is_refused() -> None:
    def halve(number: complex) -> complex:
        """Halve a number."""
        return number / 2

    with pytest.raises(LMStudioValueError, match=r"tool 'halve': .*complex"):
        prepare_tools([halve])


def test_the_name_of_no_type_is_refused() -> None:
    tool = ToolFunctionDef(
        name="add", description="Add.", parameters={"a": {"type": "integer"}}, implementation=add
    )
    with pytest.raises(LMStudioValueError, match=r"tool 'add': .*'integer' is not defined"):
        prepare_tools([tool])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": 3}, "a tool's name is 3, expected a text"),
        ({"name": ["add"]}, "a tool's name is"),
        ({"description": None}, "tool 'add': description is None"),
        ({"parameters": None}, "tool 'add': parameters is None, expected a dict"),
        ({"parameters": [("a", int)]}, "tool 'add': parameters is"),
        ({"parameters": {3: int}}, "tool 'add': a parameter's name is 3"),
        ({"parameters": {"a-b": int}}, "tool 'add': a parameter's name is 'a-b'"),
        ({"implementation": 3}, "tool 'add': implementation is 3, expected a function"),
    ],
)
@pytest.mark.parametrize("made", [dict, ToolFunctionDef])
def test_a_field_of_a_wrong_type_is_named(made: Any, wrong: dict[str, Any], said: str) -> None:
    given = {"name": "add", "description": "Add.", "parameters": {"a": int}, "implementation": add}
    with pytest.raises(LMStudioValueError, match=said):
        prepare_tools([made(**given | wrong)])


def positional(a: int, /, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def test_a_positional_only_parameter_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="tool 'positional': parameter 'a' is positional"):
        prepare_tools([positional])
    named: Any = {"name": "x", "description": "y", "parameters": {}, "implementation": positional}
    with pytest.raises(LMStudioValueError, match="tool 'x': parameter 'a'"):
        prepare_tools([named])


def test_a_function_without_a_signature_is_a_tool() -> None:
    given: Any = {
        "name": "number",
        "description": "A number.",
        "parameters": {"x": str},
        "implementation": int,
    }
    assert list(prepare_tools([given])) == ["number"]
