"""Struct: snake_case attributes in Python, camelCase keys in dicts, either accepted as input."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Self

import msgspec
from msgspec import ValidationError as ValidationError

from ..errors import LMStudioValueError

DictObject = Mapping[str, Any]

_SNAKE = re.compile("[a-z0-9]+(_[a-z0-9]+)+")

# Spellings that the rule "capitalise the words after the first" does not give.
_IRREGULAR = {
    "offload_kv_cache_to_gpu": "offloadKVCacheToGpu",
    "use_fp16_for_kv_cache": "useFp16ForKVCache",
}
# Their bodies belong to the caller: keys inside are data, not field names.
_OPAQUE = frozenset({"jsonSchema", "arguments", "parameters", "logitBias"})


def camel(name: str) -> str:
    """`max_tokens` -> `maxTokens`; a name that is no snake_case stays, as does what is no text."""
    if not isinstance(name, str) or not _SNAKE.fullmatch(name):
        return name
    first, *rest = name.split("_")
    return _IRREGULAR.get(name) or first + "".join(word.capitalize() for word in rest)


def snake(name: str) -> str:
    """`allowedLength` -> `allowed_length`, for names that `camel` spells regularly."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def camel_keys(data: DictObject) -> dict[str, Any]:
    """Copy `data` with camelCase keys at every depth; a cycle or a list in a list is refused."""
    if not isinstance(data, Mapping):
        raise LMStudioValueError(f"expected a dict, found {type(data).__name__}")
    return _camel_dict(data, ())


def _camel_dict(data: DictObject, parents: tuple[int, ...]) -> dict[str, Any]:
    if id(data) in parents:
        raise LMStudioValueError("a dict contains itself: cycles are not supported")
    inside = (*parents, id(data))
    return {camel(key): _camel_value(camel(key), value, inside) for key, value in data.items()}


def _camel_value(key: str, value: Any, parents: tuple[int, ...]) -> Any:
    if key in _OPAQUE:
        return value
    if isinstance(value, Mapping):
        return _camel_dict(value, parents)
    if isinstance(value, list | tuple):
        return [_camel_item(item, parents) for item in value]
    return value


def _camel_item(item: Any, parents: tuple[int, ...]) -> Any:
    if isinstance(item, list | tuple):
        raise LMStudioValueError("a list inside a list is not supported here")
    return _camel_dict(item, parents) if isinstance(item, Mapping) else item


def format_json(data: object) -> str:
    """Indented JSON with sorted keys, as LM Studio's SDK shows its structs."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)


class Struct(msgspec.Struct, kw_only=True, omit_defaults=True, rename=camel):
    """Base of the API's structs; `None` fields are left out of dicts."""

    @classmethod
    def from_dict(cls, data: DictObject) -> Self:
        """Make one from a dict in camelCase or snake_case; `ValidationError` on wrong types."""
        return msgspec.convert(camel_keys(data), cls)

    def set_fields(self) -> dict[str, Any]:
        """Name and value of every field that is not None."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in fields if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return a dict in camelCase, without the fields that are unset."""
        found: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return found

    def __str__(self) -> str:
        return f"{type(self).__name__}.from_dict({format_json(self.to_dict())})"
