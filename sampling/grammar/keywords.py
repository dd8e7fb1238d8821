"""JSON Schema keywords -> nodes of the algebra: every assertion, or an error with its pointer.

Annotations and keywords that the schema's draft does not know are ignored, as the standard says;
what is ignored though it looks like an assertion (an unknown `format`) is noted.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import isfinite
from typing import Any

from .algebra import Algebra
from .documents import UNDECLARED, Documents, Place, known_keywords
from .errors import GrammarError
from .formats import LONGEST, PATTERNS, UNENFORCED
from .language import string_language
from .numbers import NumberSet, exact
from .shapes import ANY, EMPTY, FULL, NONE, ArraySet, Contains, ObjectSet, Scope, Shape
from .strings import StringSet

MAX_ENUM = 20_000
_TYPES = {
    "null": Shape(null=True),
    "boolean": Shape(booleans=FULL.booleans),
    "number": Shape(numbers=FULL.numbers),
    "integer": Shape(numbers=(NumberSet(steps=frozenset((Fraction(1),))),)),
    "string": Shape(strings=FULL.strings),
    "array": Shape(arrays=FULL.arrays),
    "object": Shape(objects=FULL.objects),
}


class Keywords:
    """Opens schemas for an `Algebra`, which is `self.algebra`."""

    def __init__(self, documents: Documents, *, assert_formats: bool, closed: bool) -> None:
        self.documents = documents
        self.assert_formats = assert_formats
        self.closed = closed
        self.notes: dict[str, None] = {}
        self.algebra = Algebra(self._open)
        self._places: list[Place] = []
        self._numbers: dict[tuple[int, tuple[str, ...], str], int] = {}

    def node(self, place: Place) -> int:
        """The node of a schema."""
        if place.schema is True or place.schema == {}:
            return ANY
        if place.schema is False:
            return NONE
        key = (id(place.schema), place.scope, place.base)
        if key not in self._numbers:
            self._numbers[key] = len(self._places)
            self._places.append(place)
        return self.algebra.leaf(self._numbers[key])

    def pointer(self, leaf: int) -> str:
        """Where a leaf's schema stands."""
        return self._places[leaf].pointer

    def _open(self, leaf: int) -> int:
        place = self._places[leaf]
        try:
            return self.algebra.all_of(_Reader(self, place).nodes())
        except GrammarError as error:
            if error.pointer is not None:
                raise
            raise GrammarError(error.reason, pointer=place.pointer) from None


class _Reader:
    """One schema object, keyword by keyword."""

    def __init__(self, keywords: Keywords, place: Place) -> None:
        self.keywords = keywords
        self.algebra = keywords.algebra
        self.place = place
        self.dialect = place.dialect
        if not isinstance(place.schema, dict):
            raise self.fail("", f"expected a schema, found {type(place.schema).__name__}")
        self.schema: dict[str, Any] = known_keywords(place.schema, place.dialect)

    def fail(self, keyword: str, reason: str) -> GrammarError:
        pointer = f"{self.place.pointer}/{keyword}" if keyword else self.place.pointer
        return GrammarError(reason, pointer=pointer)

    def get(self, keyword: str, kind: type | tuple[type, ...], want: str) -> Any:
        """The keyword's value or None; an error names what was found."""
        value = self.schema.get(keyword)
        if value is None and keyword not in self.schema:
            return None
        is_bool = isinstance(value, bool)
        if not isinstance(value, kind) or (is_bool and kind not in (bool, (bool, dict))):
            raise self.fail(keyword, f"expected {want}, found {str(value)[:60]!r}")
        if isinstance(value, float) and not isfinite(value):
            raise self.fail(keyword, f"expected {want}, found {value}")
        return value

    def size(self, keyword: str) -> int | None:
        """The value of a keyword that is a non-negative integer."""
        value = self.get(keyword, (int, float), "a non-negative integer")
        if value is None:
            return None
        if value < 0 or value != int(value):
            raise self.fail(keyword, f"expected a non-negative integer, found {value}")
        return int(value)

    def child(self, schema: Any, *steps: str) -> int:
        """The node of a subschema."""
        if not isinstance(schema, dict | bool):
            pointer = self.place.pointer + "".join(f"/{step}" for step in steps)
            kind = type(schema).__name__
            raise GrammarError(f"expected a schema, found {kind}", pointer=pointer)
        return self.keywords.node(self.keywords.documents.child(self.place, schema, *steps))

    def optional(self, keyword: str) -> int:
        """The node of the keyword's subschema; without one anything goes."""
        return self.child(self.schema[keyword], keyword) if keyword in self.schema else ANY

    def children(self, keyword: str) -> list[int]:
        """The nodes of a list of subschemas."""
        schemas = self.get(keyword, list, "a list of schemas") or []
        return [self.child(schema, keyword, str(i)) for i, schema in enumerate(schemas)]

    def mapping(self, keyword: str) -> dict[str, int]:
        """The nodes of subschemas by name."""
        schemas = self.get(keyword, dict, "an object of schemas") or {}
        return {name: self.child(schema, keyword, name) for name, schema in schemas.items()}

    def nodes(self) -> Iterator[int]:
        """The nodes whose intersection this schema is."""
        reference = self.get("$ref", str, "a reference")
        if reference is not None:
            yield self.keywords.node(self.keywords.documents.refer(self.place, reference))
            if self.dialect <= 7:
                return
        yield self.algebra.shape_node(self.own())
        yield from self._listed()
        yield from self._dynamic()
        yield from self._combined()
        yield from self._dependent()
        if "unevaluatedProperties" in self.schema or "unevaluatedItems" in self.schema:
            from .unevaluated import unevaluated

            yield unevaluated(self)

    def own(self) -> Shape:
        """What the keywords without subschema logic say."""
        types = self.types()
        numbers, strings = self.numbers(), self.strings()
        arrays, objects = self.arrays(), self.objects()
        return Shape(
            types.null,
            types.booleans,
            tuple(x for x in (y & numbers for y in types.numbers) if not x.is_empty),
            (strings,) if types.strings and not strings.is_empty else (),
            (arrays,) if types.arrays else (),
            (objects,) if types.objects else (),
        )

    def types(self) -> Shape:
        """The shape of `type`."""
        names = self.schema.get("type", ["any"])
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self.fail("type", f"expected a type or a list of types, found {names!r}")
        if names == ["any"]:
            return FULL
        found = EMPTY
        for name in names:
            if name not in _TYPES:
                raise self.fail("type", f"unknown type {name!r}")
            found = found | _TYPES[name]
        return found

    def numbers(self) -> NumberSet:
        """Ranges and multipleOf."""
        found = NumberSet()
        for keyword, is_low in (("minimum", True), ("maximum", False)):
            bound = self.get(keyword, (int, float), "a number")
            open_word = "exclusive" + keyword.capitalize()
            exclusive = self.exclusive(open_word)
            if bound is not None:
                found &= _bound(bound, exclusive is True, is_low)
            if not isinstance(exclusive, bool):
                found &= _bound(exclusive, True, is_low)
        step = self.get("multipleOf", (int, float), "a number above 0")
        if step is not None:
            if step <= 0:
                raise self.fail("multipleOf", f"expected a number above 0, found {step}")
            found &= NumberSet(steps=frozenset((exact(step),)))
        return found

    def exclusive(self, keyword: str) -> Any:
        """A bound of its own or, in draft 4, whether the other bound is outside."""
        found = self.schema.get(keyword, False)
        if self.dialect == 4:
            return self.get(keyword, bool, "true or false") or False
        if self.dialect == UNDECLARED and isinstance(found, bool):
            return found
        return self.get(keyword, (int, float), "a number") if keyword in self.schema else False

    def strings(self) -> StringSet:
        """Lengths, pattern and format."""
        found = StringSet(least=self.size("minLength") or 0, most=self.size("maxLength"))
        pattern = self.get("pattern", str, "a regular expression")
        if pattern is not None:
            try:
                string_language(pattern)
            except GrammarError as error:
                raise self.fail("pattern", error.reason) from None
            found &= StringSet(languages=frozenset((("pattern", pattern),)))
        name = self.get("format", str, "the name of a format")
        if name is not None and self.keywords.assert_formats:
            found &= self.format(name)
        return found

    def format(self, name: str) -> StringSet:
        """The strings of a format, or all of them, with a note, if it is not a standard one."""
        if name in PATTERNS:
            return StringSet(languages=frozenset((("format", name),)), most=LONGEST.get(name))
        if name in UNENFORCED:
            raise self.fail("format", f"format {name!r} cannot be enforced exactly")
        self.keywords.notes[f"format {name!r} is not a standard one: ignored"] = None
        return StringSet()

    def arrays(self) -> ArraySet:
        """Items, prefixItems, contains, sizes and uniqueItems."""
        if isinstance(self.schema.get("items"), list) and self.dialect != 2020:
            prefix, rest = self.children("items"), self.optional("additionalItems")
        else:
            prefix, rest = self.children("prefixItems"), self.optional("items")
        return ArraySet(
            tuple(prefix),
            rest,
            self.size("minItems") or 0,
            self.size("maxItems"),
            frozenset(self.contains()),
            self.get("uniqueItems", bool, "true or false") or False,
        )

    def contains(self) -> Iterator[Contains]:
        """The contains constraint, if any."""
        if "contains" not in self.schema:
            return
        least, most = self.size("minContains"), self.size("maxContains")
        least = 1 if least is None else least
        if least or most is not None:
            yield Contains(self.optional("contains"), 0, least, most)

    def objects(self) -> ObjectSet:
        """Members by name and pattern, required ones and counts."""
        patterns = self.mapping("patternProperties")
        for pattern in patterns:
            try:
                string_language(pattern)
            except GrammarError as error:
                raise self.fail("patternProperties", error.reason) from None
        rest = self.optional("additionalProperties")
        if "additionalProperties" not in self.schema and self.keywords.closed:
            rest = self.child(not ("properties" in self.schema or patterns), "additionalProperties")
        scope = Scope(
            tuple(self.mapping("properties").items()),
            tuple(patterns.items()),
            rest,
        )
        return ObjectSet(
            () if scope == Scope() else (scope,),
            self.required(),
            self.size("minProperties") or 0,
            self.size("maxProperties"),
            self.name_node(),
        )

    def name_node(self) -> int:
        """The strings that `propertyNames` allows."""
        if "propertyNames" not in self.schema:
            return ANY
        only_strings = self.algebra.shape_node(Shape(strings=FULL.strings))
        return self.algebra.both(self.optional("propertyNames"), only_strings)

    def required(self) -> tuple[str, ...]:
        """Required names; draft 3's boolean form is ignored."""
        names = self.schema.get("required", [])
        if isinstance(names, bool):
            self.keywords.notes["boolean `required` is draft 3: ignored"] = None
            return ()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self.fail("required", f"expected a list of names, found {str(names)[:60]!r}")
        return tuple(dict.fromkeys(names))

    def _listed(self) -> Iterator[int]:
        if "enum" in self.schema:
            values = self.get("enum", list, "a list of values")
            if len(values) > MAX_ENUM:
                raise self.fail("enum", f"{len(values)} values, at most {MAX_ENUM}")
            yield value_nodes(self.algebra, values)
        if "const" in self.schema:
            yield value_nodes(self.algebra, [self.schema["const"]])

    def _dynamic(self) -> Iterator[int]:
        documents, place = self.keywords.documents, self.place
        reference = self.schema.get("$dynamicRef")
        if isinstance(reference, str):
            yield self.keywords.node(documents.refer_dynamic(place, reference))
        if "$recursiveRef" in self.schema:
            yield self.keywords.node(documents.refer_recursive(place))

    def _combined(self) -> Iterator[int]:
        algebra = self.algebra
        yield from self.children("allOf")
        if "anyOf" in self.schema:
            yield algebra.any_of(self.children("anyOf"))
        if "oneOf" in self.schema:
            yield algebra.one_of(self.children("oneOf"))
        if "not" in self.schema:
            yield algebra.inverse(self.child(self.schema["not"], "not"))
        if "if" in self.schema:
            test = self.child(self.schema["if"], "if")
            then = self.child(self.schema.get("then", True), "then")
            other = self.child(self.schema.get("else", True), "else")
            yield algebra.any_of(
                (algebra.both(test, then), algebra.both(algebra.inverse(test), other))
            )

    def _dependent(self) -> Iterator[int]:
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            rules = self.get(keyword, dict, "an object") or {}
            for name, wanted in rules.items():
                yield self.dependency(keyword, name, wanted)

    def dependency(self, keyword: str, name: str, wanted: Any) -> int:
        """The name is absent, or what it asks for holds."""
        absent = _objects(self.algebra, ObjectSet((Scope(((name, NONE),)),)))
        if isinstance(wanted, str):
            wanted = [wanted]
        if isinstance(wanted, list):
            if not all(isinstance(one, str) for one in wanted):
                raise self.fail(f"{keyword}/{name}", f"expected a list of names, found {wanted!r}")
            present = _objects(self.algebra, ObjectSet(required=(name, *wanted)))
        else:
            present = self.child(wanted, keyword, name)
        return self.algebra.any_of((absent, present))


def _objects(algebra: Algebra, objects: ObjectSet) -> int:
    """All values but objects, and these objects."""
    return algebra.shape_node(
        Shape(True, FULL.booleans, FULL.numbers, FULL.strings, FULL.arrays, (objects,))
    )


def _bound(value: float, is_open: bool, is_low: bool) -> NumberSet:
    if is_low:
        return NumberSet(low=exact(value), low_open=is_open)
    return NumberSet(high=exact(value), high_open=is_open)


def value_nodes(algebra: Algebra, values: list[Any]) -> int:
    """The node of exactly these JSON values."""
    numbers = {exact(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)}
    strings = {v for v in values if isinstance(v, str)}
    shape = Shape(
        any(v is None for v in values),
        frozenset(v for v in values if isinstance(v, bool)),
        (NumberSet(only=frozenset(numbers)),) if numbers else (),
        (StringSet(only=frozenset(strings)),) if strings else (),
        tuple(_array(algebra, v) for v in values if isinstance(v, list)),
        tuple(_object(algebra, v) for v in values if isinstance(v, Mapping)),
    )
    return algebra.shape_node(shape)


def _array(algebra: Algebra, value: list[Any]) -> ArraySet:
    items = tuple(value_nodes(algebra, [item]) for item in value)
    return ArraySet(items, NONE, len(items), len(items))


def _object(algebra: Algebra, value: Mapping[str, Any]) -> ObjectSet:
    named = tuple((name, value_nodes(algebra, [item])) for name, item in value.items())
    return ObjectSet((Scope(named, (), NONE),), tuple(value))
