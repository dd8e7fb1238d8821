"""What a schema allows, sorted by JSON type: the values an algebra of schemas computes with.

A `Shape` is a union of sets per type. Members of arrays and objects are node numbers of `Algebra`
(ANY and NONE being the two known ones), so shapes are finite where schemas recurse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .numbers import NumberSet
from .strings import StringSet

T = TypeVar("T")
NONE, ANY = 0, 1  # the nodes of the empty and of the full schema
Join = Callable[[int, int], int]
Inverse = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Contains:
    """Between `least` and `most` of the items from index `start` on are in `node`."""

    node: int
    start: int
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class ArraySet:
    """Arrays whose first items are in `prefix`, all further ones in `rest`."""

    prefix: tuple[int, ...] = ()
    rest: int = ANY
    least: int = 0
    most: int | None = None
    contains: frozenset[Contains] = frozenset()
    unique: bool = False

    def item(self, index: int) -> int:
        """The node of one item."""
        return self.prefix[index] if index < len(self.prefix) else self.rest

    def meet(self, other: "ArraySet", both: Join) -> "ArraySet":
        """The intersection."""
        length = max(len(self.prefix), len(other.prefix))
        return ArraySet(
            tuple(both(self.item(i), other.item(i)) for i in range(length)),
            both(self.rest, other.rest),
            max(self.least, other.least),
            _least(self.most, other.most),
            self.contains | other.contains,
            self.unique or other.unique,
        )

    def outside(self, inverse: Inverse) -> list["ArraySet"]:
        """Sets that together hold every other array; ValueError where none can."""
        parts = []
        if self.least:
            parts.append(ArraySet(most=self.least - 1))
        if self.most is not None:
            parts.append(ArraySet(least=self.most + 1))
        for i, node in enumerate(self.prefix):
            if node != ANY:
                parts.append(ArraySet((ANY,) * i + (inverse(node),), least=i + 1))
        if self.rest != ANY:
            stray = Contains(inverse(self.rest), len(self.prefix), 1, None)
            parts.append(ArraySet(contains=frozenset((stray,))))
        for one in self.contains:
            if one.least:
                fewer = Contains(one.node, one.start, 0, one.least - 1)
                parts.append(ArraySet(contains=frozenset((fewer,))))
            if one.most is not None:
                more = Contains(one.node, one.start, one.most + 1, None)
                parts.append(ArraySet(contains=frozenset((more,))))
        if self.unique:
            raise ValueError("the negation of uniqueItems")
        return parts


@dataclass(frozen=True, slots=True)
class Scope:
    """One schema's say on members: by name, by pattern of the name, and for all others."""

    named: tuple[tuple[str, int], ...] = ()
    patterns: tuple[tuple[str, int], ...] = ()
    rest: int = ANY


@dataclass(frozen=True, slots=True)
class Exists:
    """Some member's value is in `node`: of a name that matches `pattern`, or that neither is in
    `names` nor matches one of `patterns`, or whose name is in the string shape `name`."""

    node: int
    pattern: str | None = None
    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    name: int = ANY


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """Objects that satisfy all scopes, have the required names, and `least`..`most` members."""

    scopes: tuple[Scope, ...] = ()
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    names: int = ANY  # the node every member's name is in
    exists: frozenset[Exists] = frozenset()

    def meet(self, other: "ObjectSet", both: Join) -> "ObjectSet":
        """The intersection."""
        return ObjectSet(
            tuple(dict.fromkeys(self.scopes + other.scopes)),
            tuple(dict.fromkeys(self.required + other.required)),
            max(self.least, other.least),
            _least(self.most, other.most),
            both(self.names, other.names),
            self.exists | other.exists,
        )

    def outside(self, inverse: Inverse) -> list["ObjectSet"]:
        """Sets that together hold every other object."""
        parts = []
        if self.least:
            parts.append(ObjectSet(most=self.least - 1))
        if self.most is not None:
            parts.append(ObjectSet(least=self.most + 1))
        for name in self.required:
            parts.append(ObjectSet((Scope(((name, NONE),)),)))
        for scope in self.scopes:
            parts += _strays(scope, inverse)
        if self.names != ANY:
            bad_name = Exists(ANY, name=inverse(self.names))
            parts.append(ObjectSet(exists=frozenset((bad_name,))))
        for one in self.exists:
            parts.append(_nowhere(one, inverse))
        return parts


def _strays(scope: Scope, inverse: Inverse) -> list[ObjectSet]:
    """The objects with a member that the scope forbids."""
    parts = []
    for name, node in scope.named:
        if node != ANY:
            parts.append(ObjectSet((Scope(((name, inverse(node)),)),), (name,)))
    for pattern, node in scope.patterns:
        if node != ANY:
            stray = Exists(inverse(node), pattern=pattern)
            parts.append(ObjectSet(exists=frozenset((stray,))))
    if scope.rest != ANY:
        names = frozenset(name for name, _ in scope.named)
        patterns = frozenset(pattern for pattern, _ in scope.patterns)
        stray = Exists(inverse(scope.rest), names=names, patterns=patterns)
        parts.append(ObjectSet(exists=frozenset((stray,))))
    return parts


def _nowhere(one: Exists, inverse: Inverse) -> ObjectSet:
    """The objects without the member that `one` wants."""
    if one.name != ANY:
        return ObjectSet(names=inverse(one.name))
    if one.pattern is not None:
        return ObjectSet((Scope(patterns=((one.pattern, inverse(one.node)),)),))
    return ObjectSet(
        (
            Scope(
                tuple((name, ANY) for name in sorted(one.names)),
                tuple((pattern, ANY) for pattern in sorted(one.patterns)),
                inverse(one.node),
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A union of sets, type by type."""

    null: bool = False
    booleans: frozenset[bool] = frozenset()
    numbers: tuple[NumberSet, ...] = ()
    strings: tuple[StringSet, ...] = ()
    arrays: tuple[ArraySet, ...] = ()
    objects: tuple[ObjectSet, ...] = ()

    def __or__(self, other: "Shape") -> "Shape":
        return Shape(
            self.null or other.null,
            self.booleans | other.booleans,
            _merge(self.numbers, other.numbers, NumberSet()),
            _merge(self.strings, other.strings, StringSet()),
            _merge(self.arrays, other.arrays, ArraySet()),
            _merge(self.objects, other.objects, ObjectSet()),
        )

    @property
    def alternatives(self) -> int:
        """How many sets the union has."""
        return len(self.numbers) + len(self.strings) + len(self.arrays) + len(self.objects)


def _merge(a: tuple[T, ...], b: tuple[T, ...], full: T) -> tuple[T, ...]:
    if full in a or full in b:
        return (full,)
    return tuple(dict.fromkeys(a + b))


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


FULL = Shape(
    True, frozenset((False, True)), (NumberSet(),), (StringSet(),), (ArraySet(),), (ObjectSet(),)
)
EMPTY = Shape()
