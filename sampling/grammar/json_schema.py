"""JSON Schema -> program: documents, algebra, rules.

What is accepted is exactly the JSON text of the schema's valid instances (white space in bounded
runs; strings under a pattern and member names in their plain spelling; constrained numbers without
an exponent), members in declared or in any order. A repeated name counts as its last value does,
and every value of it is held to the schema. What cannot be enforced so is refused with its pointer.
"""

from collections.abc import Mapping
from typing import Any

from .documents import Documents
from .errors import GrammarError, budget
from .json_values import ValueWriter
from .keywords import Keywords
from .program import Assembler, CompiledGrammar

ORDERS = ("declared", "free")


def schema_of(source: object) -> Any:
    """A schema: itself if it is JSON data, else that of a pydantic or msgspec class."""
    if isinstance(source, dict | bool):
        return source
    make = getattr(source, "model_json_schema", None)
    if callable(make):
        return make()
    if isinstance(source, type) and hasattr(source, "__struct_fields__"):
        import msgspec

        return msgspec.json.schema(source)
    raise GrammarError(
        f"expected a schema, a pydantic or a msgspec class, found {type(source).__name__}",
        pointer="",
    )


def compile_json_schema(
    schema: object,
    *,
    property_order: str = "declared",
    assert_formats: bool = True,
    closed_objects: bool = False,
    remotes: Mapping[str, Any] | None = None,
) -> CompiledGrammar:
    """Compile a schema (JSON data, or a class that has one); `remotes`: other documents by URI.

    `closed_objects` reads a missing `additionalProperties` beside `properties` as false.
    """
    if property_order not in ORDERS:
        raise ValueError(f"property_order {property_order!r}, expected one of {ORDERS}")
    try:
        with budget():
            documents = Documents(schema_of(schema), remotes)
            keywords = Keywords(documents, assert_formats=assert_formats, closed=closed_objects)
            return _compile(documents, keywords, property_order == "free")
    except RecursionError:
        raise GrammarError("schema is nested too deeply", pointer="") from None


def _compile(documents: Documents, keywords: Keywords, free_order: bool) -> CompiledGrammar:
    assembler = Assembler()
    writer = ValueWriter(keywords.algebra, assembler, free_order=free_order)

    def locate(node: int, error: GrammarError) -> GrammarError:
        if error.pointer is not None:
            return error
        leaf = keywords.algebra.first_leaf(node)
        pointer = "" if leaf is None else keywords.pointer(leaf)
        return GrammarError(error.reason, pointer=pointer)

    start = writer.rule(keywords.node(documents.root))
    writer.write_all(locate)
    return assembler.finish(start, "json", (*documents.notes, *keywords.notes))
