"""unevaluatedProperties and unevaluatedItems: alternatives by which subschemas hold.

Each case is a node and what it evaluates. A schema equals the union of its cases, and a case that
evaluates less asks for more, so taking every subset of `anyOf` is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from .errors import GrammarError
from .shapes import ANY, FULL, NONE, ArraySet, ObjectSet, Scope, Shape

if TYPE_CHECKING:
    from .algebra import Algebra
    from .keywords import _Reader

MAX_CASES = 256


@dataclass(frozen=True, slots=True)
class Seen:
    """Names, name patterns and items that are evaluated."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    all_names: bool = False
    items: int = 0
    all_items: bool = False
    contained: frozenset[int] = frozenset()  # nodes of contains

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(
            self.names | other.names,
            self.patterns | other.patterns,
            self.all_names or other.all_names,
            max(self.items, other.items),
            self.all_items or other.all_items,
            self.contained | other.contained,
        )


Case = tuple[int, Seen]


def unevaluated(reader: "_Reader") -> int:
    """The node of the unevaluated keywords of a schema (its other keywords apart)."""
    cases = _cases(reader, True, 0)
    algebra = reader.algebra
    members = reader.child(
        reader.schema.get("unevaluatedProperties", True), "unevaluatedProperties"
    )
    items = reader.child(reader.schema.get("unevaluatedItems", True), "unevaluatedItems")
    return algebra.any_of(
        algebra.both(node, algebra.shape_node(_limited(algebra, seen, members, items)))
        for node, seen in cases
    )


def _limited(algebra: "Algebra", seen: Seen, members: int, items: int) -> Shape:
    scope = Scope(
        tuple((name, ANY) for name in sorted(seen.names)),
        tuple((pattern, ANY) for pattern in sorted(seen.patterns)),
        ANY if seen.all_names else members,
    )
    rest = algebra.any_of((items, *sorted(seen.contained)))
    arrays = ArraySet((ANY,) * seen.items, ANY if seen.all_items else rest)
    return Shape(True, FULL.booleans, FULL.numbers, FULL.strings, (arrays,), (ObjectSet((scope,)),))


def _cases(reader: "_Reader", top: bool, depth: int) -> list[Case]:
    if depth > 30:
        raise GrammarError("unevaluated keywords over recursive references")
    found: list[Case] = [(ANY, _own(reader, top))]
    for group in _groups(reader, depth):
        found = [(reader.algebra.both(a, b), x | y) for a, x in found for b, y in group]
        found = list(dict.fromkeys(case for case in found if case[0] != NONE))
        if len(found) > MAX_CASES:
            raise GrammarError(f"unevaluated keywords need more than {MAX_CASES} cases")
    return found


def _own(reader: "_Reader", top: bool) -> Seen:
    schema = reader.schema
    listed = schema.get("items")
    prefix = listed if isinstance(listed, list) else schema.get("prefixItems", [])
    every_item = (listed is not None and not isinstance(listed, list)) or (
        isinstance(listed, list) and "additionalItems" in schema
    )
    with_contains = reader.dialect >= 2020 and "contains" in schema
    contained = {reader.child(schema["contains"], "contains")} if with_contains else set()
    return Seen(
        frozenset(schema.get("properties", {})),
        frozenset(schema.get("patternProperties", {})),
        "additionalProperties" in schema or (not top and "unevaluatedProperties" in schema),
        len(prefix),
        every_item or (not top and "unevaluatedItems" in schema),
        frozenset(contained),
    )


def _sub(reader: "_Reader", schema: Any, depth: int, *steps: str) -> list[Case]:
    """The cases of a subschema, its own node included in each."""
    place = reader.keywords.documents.child(reader.place, schema, *steps)
    return _at(reader, place, depth)


def _at(reader: "_Reader", place: Any, depth: int) -> list[Case]:
    if not isinstance(place.schema, dict):
        return [(ANY if place.schema else NONE, Seen())]
    node = reader.keywords.node(place)
    cases = _cases(type(reader)(reader.keywords, place), False, depth + 1)
    return [(reader.algebra.both(node, case), seen) for case, seen in cases]


def _groups(reader: "_Reader", depth: int) -> Iterator[list[Case]]:
    schema, algebra, documents = reader.schema, reader.algebra, reader.keywords.documents
    if isinstance(schema.get("$ref"), str):
        yield _at(reader, documents.refer(reader.place, schema["$ref"]), depth)
    if isinstance(schema.get("$dynamicRef"), str):
        yield _at(reader, documents.refer_dynamic(reader.place, schema["$dynamicRef"]), depth)
    if "$recursiveRef" in schema:
        yield _at(reader, documents.refer_recursive(reader.place), depth)
    for i, part in enumerate(schema.get("allOf", [])):
        yield _sub(reader, part, depth, "allOf", str(i))
    if "oneOf" in schema:
        parts = schema["oneOf"]
        yield [
            case
            for i, part in enumerate(parts)
            for case in _sub(reader, part, depth, "oneOf", str(i))
        ]
    if "anyOf" in schema:
        yield _subsets(reader, schema["anyOf"], depth)
    if "if" in schema:
        test = _sub(reader, schema["if"], depth, "if")
        then = _sub(reader, schema.get("then", True), depth, "then")
        other = _sub(reader, schema.get("else", True), depth, "else")
        fails = algebra.inverse(reader.child(schema["if"], "if"))
        held = [(algebra.both(a, b), x | y) for a, x in test for b, y in then]
        yield held + [(algebra.both(fails, node), seen) for node, seen in other]
    for name, part in schema.get("dependentSchemas", {}).items():
        absent = _members(algebra, ObjectSet((Scope(((name, NONE),)),)))
        present = _members(algebra, ObjectSet(required=(name,)))
        cases = _sub(reader, part, depth, "dependentSchemas", name)
        yield [(absent, Seen()), *((algebra.both(present, node), seen) for node, seen in cases)]


def _members(algebra: "Algebra", objects: ObjectSet) -> int:
    shape = Shape(True, FULL.booleans, FULL.numbers, FULL.strings, FULL.arrays, (objects,))
    return algebra.shape_node(shape)


def _subsets(reader: "_Reader", parts: list[Any], depth: int) -> list[Case]:
    if len(parts) > 6:
        raise GrammarError(f"unevaluated keywords over anyOf of {len(parts)} schemas, at most 6")
    each = [_sub(reader, part, depth, "anyOf", str(i)) for i, part in enumerate(parts)]
    found: list[Case] = []
    for count in range(1, len(parts) + 1):
        for chosen in combinations(each, count):
            cases: list[Case] = [(ANY, Seen())]
            for group in chosen:
                cases = [(reader.algebra.both(a, b), x | y) for a, x in cases for b, y in group]
            found += cases
    return found
