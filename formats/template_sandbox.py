"""Jinja for chat templates: jinja2's immutable sandbox, metered, its literals marked as own text.

Before a template is compiled its tree is rewritten: literals become names of OwnText constants, and
loops, comparisons, slices, list literals and `~` go through metered functions. Calls, filters,
tests, output and the other operators are metered by jinja2's own hooks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from jinja2 import Template, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from .template_budget import (
    WIDTH_METHODS,
    check_chars,
    check_format,
    check_join,
    check_operation,
    check_replace,
    check_width,
    meter,
)
from .template_filters import metered_filters, metered_test, raise_exception, strftime_now
from .template_text import OwnText, add, concat, is_own, own

# Begins the names that a rewritten tree uses.
PREFIX: Final = "gnomon_"


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The environment of all chat templates, set up as transformers does; render in metered()."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", Generation],
            finalize=_output,
        )
        self.filters = metered_filters(self.filters)
        self.tests = {name: metered_test(test) for name, test in self.tests.items()}
        del self.globals["lipsum"]
        self.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
        self.globals.update((PREFIX + name, function) for name, function in REWRITES.items())

    def compile_chat(self, source: str) -> Template:
        """A template whose output knows which of it is the template's own."""
        marker = _Marker()
        tree = marker.visit(self.parse(source))
        code = self.compile(tree)
        return Template.from_code(self, code, self.make_globals(marker.constants))

    @staticmethod
    def concat(texts: Iterable[str]) -> str:
        """Join what a template or a macro puts out."""
        texts = list(texts)
        check_chars(sum(map(len, texts)))
        return meter().charge(concat(texts))

    def call(__self, __context: Context, __function: Any, *args: Any, **kwargs: Any) -> Any:
        meter().spend()
        args = _checked_arguments(__function, args, kwargs)
        made = super().call(__context, __function, *args, **kwargs)
        return meter().charge_whole(made) if __function is dict else meter().charge(made)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return meter().charge(add(left, right))
        made = super().call_binop(context, operator, left, right)
        return meter().charge_whole(made) if operator in ("+", "*") else meter().charge(made)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # str.translate can put a long text for every character.
        return attr != "translate" and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        formatted = super().wrap_str_format(value)
        if formatted is None:
            return None

        def run(*args: Any, **kwargs: Any) -> str:
            check_format(value.__self__, (args, kwargs))
            text = formatted(*args, **kwargs)
            trusted = all(map(is_own, (value.__self__, *args, *kwargs.values())))
            return own(text) if trusted else OwnText(text)

        return run


class Generation(Extension):
    """`{% generation %}`, by which templates mark answers for training, is only its body here."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The statements up to `{% endgeneration %}`."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Marker(NodeTransformer):
    """Rewrites a template's tree; `constants` are the literals by the names it gives them."""

    def __init__(self) -> None:
        self.constants: dict[str, OwnText] = {}
        self._names: dict[str, str] = {}

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:
        return self._literal(node, node.value) if isinstance(node.value, str) else node

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Expr:
        return self._literal(node, node.data)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _call("concat", node.nodes, node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _call("each", [node.iter], node.lineno)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Expr:
        self.generic_visit(node)
        return _call("charge", [node], node.lineno)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _call("charge", [node], node.lineno)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _call("charge_whole", [node], node.lineno)

    visit_Dict = visit_List

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return _call("charge_whole", [node], node.lineno) if node.ctx == "load" else node

    def _literal(self, node: nodes.Node, text: str) -> nodes.Expr:
        name = self._names.setdefault(text, f"{PREFIX}{len(self._names)}")
        self.constants[name] = own(text)
        return nodes.Name(name, "load", lineno=node.lineno)


def _call(function: str, args: Sequence[nodes.Node], lineno: int) -> nodes.Call:
    name = nodes.Name(PREFIX + function, "load", lineno=lineno)
    return nodes.Call(name, list(args), [], None, None, lineno=lineno)


def _each(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        meter().spend()
        yield value


def _concat(*values: Any) -> str:
    check_join("", values)
    return concat(value if isinstance(value, str) else str(value) for value in values)


# What a rewritten tree calls. What they make is counted again by `call`.
REWRITES: Final[dict[str, Callable[..., Any]]] = {
    "charge": lambda value: value,
    "charge_whole": lambda value: meter().charge_whole(value),
    "concat": _concat,
    "each": _each,
}


@pass_context
def _output(context: Context, value: Any) -> Any:
    """Count what a template puts out; jinja2 then makes it a string."""
    return meter().charge_whole(value)


def _checked_arguments(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Check a method of a string or number that can make much; an iterator becomes a list."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if not isinstance(owner, str | bytes | int):
        return args
    if name in WIDTH_METHODS:
        check_width((*args, *kwargs.values()))
    elif name == "replace" and len(args) > 1:
        check_replace(owner, args[0], args[1])
    elif name == "join" and args:
        args = (list(args[0]), *args[1:])
        check_join(owner, args[0])
    return args
