"""Tools: Python functions a model may call: schemas, the text of a call, its checked arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Self, TypeAlias, TypedDict, get_type_hints

import msgspec

from ...formats.errors import shown
from ..errors import LMStudioValueError
from .config import LlmPredictionConfig
from .messages import ToolCallRequest


class ToolFunctionDefDict(TypedDict):
    """A tool as a dict of its four keys."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    implementation: Callable[..., Any]


@dataclass(kw_only=True, frozen=True, slots=True)
class ToolFunctionDef:
    """A tool: `parameters` maps names to types, or to `{"type": T, "default": value}`."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    implementation: Callable[..., Any]

    @classmethod
    def from_callable(
        cls, f: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> Self:
        """Read name, docstring, type hints and defaults; every parameter needs a type hint."""
        name = name or getattr(f, "__name__", None)
        description = description or inspect.getdoc(f)
        if not name or not name.isidentifier():
            raise LMStudioValueError(f"tool {f!r} has no usable name: give one with name=")
        if not description:
            raise LMStudioValueError(
                f"tool {name!r} has no docstring: the model needs a description"
            )
        return cls(
            name=name, description=description, parameters=_parameters(f, name), implementation=f
        )

    def arguments_struct(self) -> type[msgspec.Struct]:
        """A struct whose fields are the parameters; checks arguments and gives the schema."""
        fields = [_field(self.name, name, given) for name, given in self.parameters.items()]
        return msgspec.defstruct(f"{self.name.capitalize()}Parameters", fields, kw_only=True)


ToolDefinition: TypeAlias = ToolFunctionDef | ToolFunctionDefDict | Callable[..., Any]


@dataclass(frozen=True)
class Tool:
    """A tool made ready: what templates show, and how to call it."""

    definition: dict[str, Any]
    arguments: type[msgspec.Struct]
    implementation: Callable[..., Any]

    def checked(self, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments with defaults filled in; `msgspec.ValidationError` if they do not fit."""
        return msgspec.structs.asdict(msgspec.convert(dict(arguments or {}), self.arguments))


def prepare_tools(
    tools: Iterable[ToolDefinition], *, asynchronous: bool = False
) -> dict[str, Tool]:
    """Tools by name; none at all, a name twice, or a coroutine is an error.

    A coroutine is well for an `asynchronous` caller.
    """
    ready: dict[str, Tool] = {}
    for given in tools:
        definition = _definition(given)
        _check(definition)
        if definition.name in ready:
            raise LMStudioValueError(f"two tools are named {definition.name!r}")
        if not asynchronous and inspect.iscoroutinefunction(definition.implementation):
            raise LMStudioValueError(
                f"tool {definition.name!r} is asynchronous: not supported in the synchronous API"
            )
        ready[definition.name] = _ready(definition)
    if not ready:
        raise LMStudioValueError("act needs at least one tool")
    return ready


def _ready(definition: ToolFunctionDef) -> Tool:
    arguments = definition.arguments_struct()
    try:
        shown = _shown(definition, arguments)
    except (TypeError, NameError) as error:
        raise LMStudioValueError(
            f"tool {definition.name!r}: a parameter's type has no JSON schema: "
            f"{str(error).splitlines()[-1]}"
        ) from error
    return Tool(shown, arguments, definition.implementation)


def parse_call(text: str, number: int) -> ToolCallRequest | None:
    """The call that a model wrote as JSON with name and arguments; None if it is not one."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or not isinstance(read.get("name"), str):
        return None
    arguments = read.get("arguments", read.get("parameters", {}))
    if not isinstance(arguments, dict | None):
        return None
    return ToolCallRequest(name=read["name"], id=str(number), arguments=arguments or {})


def raw_tools(config: LlmPredictionConfig) -> list[dict[str, Any]] | None:
    """The tool definitions of the config key `rawTools`."""
    chosen = config.raw_tools or {}
    tools = chosen.get("tools") if chosen.get("type") == "toolArray" else None
    return checked_definitions(tools, "prediction config: rawTools.tools")


def checked_definitions(tools: Any, where: str) -> list[dict[str, Any]] | None:
    """The tool definitions that a caller gave, if they are some; else an error that says where."""
    if tools is None:
        return None
    if not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise LMStudioValueError(f"{where} is {tools!r}, expected a list of dicts")
    for i, tool in enumerate(tools):
        _check_definition(tool, f"{where}[{i}]")
    return tools


def _check_definition(tool: dict[str, Any], where: str) -> None:
    """Raise LMStudioValueError unless a template finds the function's name, and JSON holds it."""
    function = _part(tool, "function", dict, "a dict with a name", where)
    _part(function, "name", str, "a text", f"{where}: function")
    try:
        json.dumps(tool)
    except (TypeError, ValueError, RecursionError) as error:
        raise LMStudioValueError(f"{where}: expected what JSON can hold: {error}") from error


def _part(given: dict[str, Any], key: str, kind: type, expected: str, where: str) -> Any:
    if key not in given:
        raise LMStudioValueError(f"{where}: found no {key!r}, expected {expected}")
    if not isinstance(given[key], kind):
        raise LMStudioValueError(f"{where}: {key} is {shown(given[key])}, expected {expected}")
    return given[key]


def default_format(
    messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """Messages for a template that knows no tools: described in the system prompt, calls written as
    [TOOL_REQUEST]...[END_TOOL_REQUEST], results given by the user."""
    plain = [_plain(message) for message in messages]
    if not tools:
        return plain
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    told = (
        "You can call tools. To call one, write exactly:\n"
        '[TOOL_REQUEST]{"name": "tool_name", "arguments": {"name": "value"}}[END_TOOL_REQUEST]\n'
        f"The tools:\n{lines}"
    )
    if plain and plain[0]["role"] == "system":
        return [{**plain[0], "content": f"{plain[0]['content']}\n\n{told}"}, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        return {"role": "user", "content": f"[TOOL_RESULT]{message['content']}[END_TOOL_RESULT]"}
    calls = [
        f"[TOOL_REQUEST]{json.dumps(call['function'], ensure_ascii=False)}[END_TOOL_REQUEST]"
        for call in message.get("tool_calls", ())
    ]
    return {
        "role": message["role"],
        "content": "\n".join(filter(None, [message["content"], *calls])),
    }


def _definition(given: ToolDefinition) -> ToolFunctionDef:
    if isinstance(given, ToolFunctionDef):
        return given
    if isinstance(given, Mapping):
        return _from_dict(given)
    if callable(given):
        return ToolFunctionDef.from_callable(given)
    raise LMStudioValueError(
        f"a tool is a function, a ToolFunctionDef or its dict, found {type(given).__name__}"
    )


def _from_dict(given: Mapping[str, Any]) -> ToolFunctionDef:
    names = [field.name for field in fields(ToolFunctionDef)]
    wrong = [f"no {name!r}" for name in names if name not in given]
    wrong += [f"the key {key!r}" for key in given if key not in names]
    if wrong:
        raise LMStudioValueError(
            f"tool {shown(given.get('name'))}: found {', '.join(wrong)}; expected the keys "
            f"{', '.join(names)}"
        )
    return ToolFunctionDef(**given)


def _check(tool: ToolFunctionDef) -> None:
    """Raise LMStudioValueError unless every field is what it should be, and can be called."""
    if not isinstance(tool.name, str):
        raise LMStudioValueError(f"a tool's name is {tool.name!r}, expected a text")
    where = f"tool {tool.name!r}"
    if not isinstance(tool.description, str):
        raise LMStudioValueError(f"{where}: description is {tool.description!r}, expected a text")
    if not isinstance(tool.parameters, Mapping):
        raise LMStudioValueError(
            f"{where}: parameters is {tool.parameters!r}, expected a dict of names to types"
        )
    for name in tool.parameters:
        if not isinstance(name, str) or not name.isidentifier():
            raise LMStudioValueError(
                f"{where}: a parameter's name is {name!r}, expected one that Python can call by"
            )
    if not callable(tool.implementation):
        raise LMStudioValueError(
            f"{where}: implementation is {tool.implementation!r}, expected a function"
        )
    _check_named(tool, where)


def _check_named(tool: ToolFunctionDef, where: str) -> None:
    """Raise LMStudioValueError for a positional-only parameter: arguments are given by name."""
    try:
        signature = inspect.signature(tool.implementation)
    except (TypeError, ValueError):  # some of those written in C have none
        return
    for name, parameter in signature.parameters.items():
        asked = name in tool.parameters or parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY and asked:
            raise LMStudioValueError(
                f"{where}: parameter {name!r} is positional-only, expected one given by name"
            )


def _parameters(f: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        hints = get_type_hints(f, include_extras=True)
        signature = inspect.signature(f)
    except Exception as error:
        raise LMStudioValueError(f"tool {name!r}: cannot read its parameters: {error}") from error
    found: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name not in hints:
            raise LMStudioValueError(
                f"tool {name!r}: parameter {parameter.name!r} has no type hint"
            )
        hint = hints[parameter.name]
        has_default = parameter.default is not parameter.empty
        found[parameter.name] = (
            {"type": hint, "default": parameter.default} if has_default else hint
        )
    return found


def _field(tool: str, name: str, given: Any) -> tuple[str, Any] | tuple[str, Any, Any]:
    if not isinstance(given, Mapping):
        return name, given
    if "type" not in given:
        raise TypeError(f"tool {tool!r}: parameter {name!r} needs a 'type', found {given!r}")
    if "default" not in given:
        return name, given["type"]
    default = given["default"]
    if isinstance(default, list | dict | set) and default:  # each call has one of its own
        default = msgspec.field(default_factory=partial(deepcopy, default))
    return name, given["type"], default


def _shown(definition: ToolFunctionDef, arguments: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(arguments)
    reference = schema.pop("$ref").rpartition("/")[2]
    own = schema["$defs"].pop(reference)
    own.pop("title", None)
    inner = {"$defs": schema["$defs"]} if schema["$defs"] else {}
    return {
        "type": "function",
        "function": {
            "name": definition.name,
            "description": definition.description,
            "parameters": inner | own,
        },
    }
