"""What a chat template may call: jinja2's filters and tests, metered, and transformers' helpers.

Filters that turn a little text into much are refused or checked before they run.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, Final, NoReturn

from jinja2 import TemplateError

from .template_budget import (
    OverBudget,
    check_chars,
    check_join,
    check_percent,
    check_replace,
    check_width,
    meter,
)

Function = Callable[..., Any]

# Chat templates have no use for them.
REFUSED: Final = frozenset({"pprint", "urlize", "wordwrap", "xmlattr"})
BUILDING: Final = frozenset({"batch", "groupby", "slice"})
# These look into a list without printing it; BUILDING make lists of lists.
PICKING: Final = BUILDING | {
    *("attr", "count", "d", "default", "dictsort", "first", "items", "last", "length", "list"),
    *("map", "max", "min", "random", "reject", "rejectattr", "reverse", "select", "selectattr"),
    *("sort", "sum", "unique"),
}


def metered_filters(filters: Mapping[str, Function]) -> dict[str, Function]:
    """The filters that templates may use, each counting what it costs."""
    ours = {**filters, "tojson": tojson}
    return {
        name: _metered(name, function) for name, function in ours.items() if name not in REFUSED
    }


def metered_test(test: Any) -> Function:
    """A test that counts a step."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        return meter().charge(test(*args, **kwargs))

    return run


def tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers' filter writes it: not escaped for HTML, characters as they are."""
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    if indent is None and separators is None:
        return encoder.encode(value)
    chunks = []
    size = 0
    for chunk in encoder.iterencode(value):
        chunks.append(chunk)
        size += len(chunk)
        check_chars(size)
    return "".join(chunks)


def raise_exception(message: str) -> NoReturn:
    """Refuse the conversation, in the template's words."""
    raise TemplateError(message)


def strftime_now(format: str) -> str:
    """The local time now."""
    check_width((len(format),))
    return datetime.now().strftime(format)


def _metered(name: str, function: Function) -> Function:
    # A filter that is passed the context or environment has it before the value.
    first = 1 if hasattr(function, "jinja_pass_arg") else 0
    check = CHECKS.get(name, _no_check)

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        value = args[first]
        if name == "join" and not isinstance(value, str):
            value = list(value)
        if name not in PICKING:
            meter().charge_whole(value)
        check(value, *args[first + 1 :], **kwargs)
        made = function(*args[:first], value, *args[first + 1 :], **kwargs)
        return meter().charge_whole(made) if name in BUILDING else meter().charge(made)

    return run


def _no_check(value: object, *args: object, **kwargs: object) -> None:
    pass


def _check_width(value: object, *args: object, **kwargs: object) -> None:
    check_width((*args, *kwargs.values()))


def _check_indent(value: object, width: int | str = 4, *args: object, **kwargs: object) -> None:
    columns = width if isinstance(width, int) else len(width)
    check_chars((str(value).count("\n") + 1) * columns)


def _check_replace(value: object, old: object, new: object, *args: object, **_: object) -> None:
    check_replace(str(value), str(old), str(new))


def _check_format(value: object, *args: object, **kwargs: object) -> None:
    check_percent(str(value), (args, kwargs))


def _check_join(value: Iterable[object], d: object = "", *args: object, **kwargs: object) -> None:
    check_join(str(d), value)


def _check_sum(value: object, attribute: object = None, start: object = 0) -> None:
    if not isinstance(start, int | float):
        raise OverBudget("a sum that is no number")


def _check_tojson(value: object, *args: object, **kwargs: object) -> None:
    texts = [text for text in (*args, *kwargs.values()) if isinstance(text, str)]
    check_width((*args, *kwargs.values(), *map(len, texts)))


CHECKS: Final[Mapping[str, Callable[..., None]]] = {
    "batch": _check_width,
    "center": _check_width,
    "format": _check_format,
    "indent": _check_indent,
    "join": _check_join,
    "replace": _check_replace,
    "round": _check_width,
    "slice": _check_width,
    "sum": _check_sum,
    "tojson": _check_tojson,
}
