"""And, or, not and one-of over schemas, as numbered nodes that expand to shapes on demand.

Nodes are hash-consed, so a recursive schema has finitely many; expanding stops at what a member
node contains. Emptiness is decided on the safe side: `is_empty` says True only when it is certain.
"""

from collections.abc import Callable, Iterable

from . import members
from .errors import GrammarError, spend
from .numbers import NumberSet
from .shapes import ANY, EMPTY, FULL, NONE, ArraySet, ObjectSet, Shape
from .strings import StringSet

MAX_NODES = 60_000
MAX_ALTERNATIVES = 400  # sets in one shape
MAX_DEPTH = 40  # of looking into members to find emptiness

Leaf = Callable[[int], int]
_Key = tuple[str, tuple[int, ...]]


class Algebra:
    """The nodes of one compilation. `open_leaf(n)` gives the node a leaf number stands for."""

    def __init__(self, open_leaf: Leaf) -> None:
        self._open_leaf = open_leaf
        self._keys: dict[_Key, int] = {("|", ()): NONE, ("&", ()): ANY}
        self._nodes: list[_Key] = [("|", ()), ("&", ())]
        self._shapes: dict[int, Shape] = {}
        self._shape_nodes: list[Shape] = []
        self._shape_numbers: dict[Shape, int] = {}
        self._opening: set[int] = set()
        self._empty: dict[int, bool] = {NONE: True, ANY: False}
        self._asking: set[int] = set()

    def _node(self, kind: str, parts: tuple[int, ...]) -> int:
        key = (kind, parts)
        number = self._keys.get(key)
        if number is None:
            number = len(self._nodes)
            if number > MAX_NODES:
                raise GrammarError(f"schema combines into more than {MAX_NODES} schemas")
            self._keys[key] = number
            self._nodes.append(key)
        return number

    def leaf(self, number: int) -> int:
        """The node of a schema that is opened when needed."""
        return self._node("leaf", (number,))

    def shape_node(self, shape: Shape) -> int:
        """The node of a shape."""
        if shape == FULL:
            return ANY
        if shape not in self._shape_numbers:
            self._shape_numbers[shape] = len(self._shape_nodes)
            self._shape_nodes.append(shape)
        return self._node("shape", (self._shape_numbers[shape],))

    def all_of(self, nodes: Iterable[int]) -> int:
        """Intersection."""
        parts: set[int] = set()
        for node in nodes:
            kind, inner = self._nodes[node]
            parts.update(inner if kind == "&" else (node,))
        if NONE in parts:
            return NONE
        return parts.pop() if len(parts) == 1 else self._node("&", tuple(sorted(parts)))

    def both(self, a: int, b: int) -> int:
        """Intersection of two."""
        if a in (ANY, b):
            return b
        return a if b == ANY else self.all_of((a, b))

    def any_of(self, nodes: Iterable[int]) -> int:
        """Union, in the order given."""
        parts: dict[int, None] = {}
        for node in nodes:
            kind, inner = self._nodes[node]
            parts.update(dict.fromkeys(inner if kind == "|" else (node,)))
        if ANY in parts:
            return ANY
        return next(iter(parts)) if len(parts) == 1 else self._node("|", tuple(parts))

    def one_of(self, nodes: Iterable[int]) -> int:
        """Exactly one of them."""
        parts = tuple(nodes)
        return parts[0] if len(parts) == 1 else self._node("1", parts)

    def inverse(self, node: int) -> int:
        """Complement."""
        kind, inner = self._nodes[node]
        if node in (ANY, NONE):
            return NONE + ANY - node
        return inner[0] if kind == "!" else self._node("!", (node,))

    def shape(self, node: int) -> Shape:
        """What the node allows; GrammarError for a reference that leads to itself."""
        found = self._shapes.get(node)
        if found is not None:
            return found
        if node in self._opening:
            raise GrammarError("reference leads to itself without an object or array between")
        if len(self._opening) > 300:
            raise GrammarError("schemas combine more than 300 deep")
        self._opening.add(node)
        try:
            found = self._expand(*self._nodes[node])
        finally:
            self._opening.discard(node)
        self._shapes[node] = _bounded(found)
        return found

    def _expand(self, kind: str, parts: tuple[int, ...]) -> Shape:
        if kind == "shape":
            return self._shape_nodes[parts[0]]
        if kind == "leaf":
            return self.shape(self._open_leaf(parts[0]))
        if kind == "!":
            return self._complement(parts[0])
        if kind == "1":
            return self._exactly_one(parts)
        if kind == "|":
            found = EMPTY
            for part in parts:
                found = found | self.shape(part)
            return found
        found = FULL
        for part in parts:
            found = _bounded(self._meet(found, self.shape(part)))
        return found

    def _complement(self, node: int) -> Shape:
        """Not of a node, by what the node is made of (De Morgan)."""
        kind, parts = self._nodes[node]
        if kind == "leaf":
            return self.shape(self.inverse(self._open_leaf(parts[0])))
        if kind == "|":
            return self.shape(self.all_of(self.inverse(part) for part in parts))
        if kind == "&":
            return self.shape(self.any_of(self.inverse(part) for part in parts))
        if kind == "!":
            return self.shape(parts[0])
        if kind == "1":
            none = self.all_of(self.inverse(part) for part in parts)
            pairs = [self.both(a, b) for i, a in enumerate(parts) for b in parts[:i]]
            return self.shape(self.any_of([none, *pairs]))
        return self._outside(self.shape(node))

    def _exactly_one(self, parts: tuple[int, ...]) -> Shape:
        found = EMPTY
        for part in dict.fromkeys(parts):
            others = list(parts)
            others.remove(part)
            clash = [o for o in others if o == part or not self.is_empty(self.both(part, o))]
            alone = self.all_of([part, *(self.inverse(other) for other in clash)])
            found = found | self.shape(alone)
        return found

    def _meet(self, a: Shape, b: Shape) -> Shape:
        """Intersection of two unions, type by type."""
        if a == FULL or b == FULL:
            return b if a == FULL else a
        spend(
            6 * (len(a.numbers) * len(b.numbers) + len(a.strings) * len(b.strings))
            + 12 * (len(a.arrays) * len(b.arrays) + len(a.objects) * len(b.objects))
        )
        numbers = dict.fromkeys(x & y for x in a.numbers for y in b.numbers)
        strings = dict.fromkeys(x & y for x in a.strings for y in b.strings)
        arrays = dict.fromkeys(x.meet(y, self.both) for x in a.arrays for y in b.arrays)
        objects = dict.fromkeys(x.meet(y, self.both) for x in a.objects for y in b.objects)
        return Shape(
            a.null and b.null,
            a.booleans & b.booleans,
            tuple(x for x in numbers if not x.is_empty),
            tuple(x for x in strings if not x.is_empty),
            tuple(x for x in arrays if not self.no_array(x)),
            tuple(x for x in objects if not self.no_object(x)),
        )

    def _outside(self, shape: Shape) -> Shape:
        """Complement of a union: the meeting of its sets' complements."""
        found = Shape(
            not shape.null, frozenset((False, True)) - shape.booleans,
            FULL.numbers, FULL.strings, FULL.arrays, FULL.objects,
        )  # fmt: skip
        rest: Shape = Shape(True, frozenset((False, True)))
        full = (FULL.numbers, FULL.strings, FULL.arrays, FULL.objects)
        try:
            for x in shape.numbers:
                found = self._meet(_bounded(found), _with(rest, full, 0, tuple(x.outside())))
            for s in shape.strings:
                found = self._meet(_bounded(found), _with(rest, full, 1, tuple(s.outside())))
            for a in shape.arrays:
                found = self._meet(
                    _bounded(found), _with(rest, full, 2, tuple(a.outside(self.inverse)))
                )
            for o in shape.objects:
                found = self._meet(
                    _bounded(found), _with(rest, full, 3, tuple(o.outside(self.inverse)))
                )
        except ValueError as error:
            raise GrammarError(f"cannot enforce {error}") from None
        return found

    def first_leaf(self, node: int) -> int | None:
        """A leaf the node is made of: the last one of an intersection, as the most specific."""
        stack = [node]
        while stack:
            kind, parts = self._nodes[stack.pop()]
            if kind == "leaf":
                return parts[0]
            if kind != "shape":
                stack += parts
        return None

    def is_empty(self, node: int) -> bool:
        """Whether the node certainly allows nothing."""
        known = self._empty.get(node)
        if known is not None:
            return known
        if node in self._asking or len(self._asking) > MAX_DEPTH or node in self._opening:
            return False
        self._asking.add(node)
        try:
            shape = self.shape(node)
            empty = not (shape.null or shape.booleans) and (
                all(x.is_empty for x in shape.numbers)
                and all(x.is_empty for x in shape.strings)
                and all(self.no_array(x) for x in shape.arrays)
                and all(self.no_object(x) for x in shape.objects)
            )
        finally:
            self._asking.discard(node)
        if empty or not self._asking:
            self._empty[node] = empty
        return empty

    def no_array(self, arrays: ArraySet) -> bool:
        """Whether a set of arrays is certainly empty."""
        if arrays.most is not None and arrays.most < arrays.least:
            return True
        if arrays.least > len(arrays.prefix) and self.is_empty(arrays.rest):
            return True
        if any(one.most is not None and one.most < one.least for one in arrays.contains):
            return True
        if any(one.least and self.is_empty(one.node) for one in arrays.contains):
            return True
        return any(self.is_empty(node) for node in arrays.prefix[: arrays.least])

    def no_object(self, objects: ObjectSet) -> bool:
        """Whether a set of objects is certainly empty."""
        if objects.most is not None and objects.most < max(objects.least, len(objects.required)):
            return True
        spend(3 * len(objects.required) * (len(objects.scopes) + 1))
        return any(self.is_empty(self.member(objects, name)) for name in objects.required)

    def member(self, objects: ObjectSet, name: str) -> int:
        """The node of the value under a name."""
        if not members.name_allowed(self, objects, name):
            return NONE
        return self.all_of(members.value_of(self, scope, name) for scope in objects.scopes)


def _bounded(shape: Shape) -> Shape:
    if shape.alternatives > MAX_ALTERNATIVES:
        raise GrammarError(
            f"schema has {shape.alternatives} alternatives, at most {MAX_ALTERNATIVES}"
        )
    return shape


def _with(
    rest: Shape,
    full: tuple[
        tuple[NumberSet, ...], tuple[StringSet, ...], tuple[ArraySet, ...], tuple[ObjectSet, ...]
    ],
    place: int,
    sets: tuple[object, ...],
) -> Shape:
    parts = list(full)
    parts[place] = sets
    return Shape(rest.null, rest.booleans, *parts)  # type: ignore[arg-type]
