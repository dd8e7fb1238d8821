"""Shapes -> program rules: values, scalars and arrays of JSON text.

One rule per node; white space may stand where JSON lets it, in runs of at most RUN_MAX characters,
but not before or after the whole value.
"""

from collections.abc import Callable, Iterable
from itertools import combinations

from ...kernels.grammar import opcodes as op
from .algebra import Algebra
from .dfa import Dfa
from .errors import GrammarError
from .json_objects import ObjectWriter
from .numbers import NumberSet, number_language, number_texts
from .program import Assembler
from .shapes import NONE, ArraySet, Contains, Shape
from .strings import StringSet, closed_language, free_string, inside, lengths

MAX_COUNTED = 60_000
MAX_UNIQUE = op.FLAGS
MAX_ARRAY_STATES = 3_000
MAX_CONTAINS = 6


class ValueWriter:
    """Writes the rules of all nodes that a root node leads to."""

    def __init__(self, algebra: Algebra, assembler: Assembler, *, free_order: bool) -> None:
        self.algebra = algebra
        self.assembler = assembler
        self.objects = ObjectWriter(self, free_order=free_order)
        self._rules: dict[int, int] = {}
        self._languages: dict[tuple[int, bool], int] = {}
        self._pending: list[int] = []
        self._written: list[tuple[int, Callable[[], None]]] = []

    def rule(self, node: int) -> int:
        """The rule of a node; it is written later."""
        if node not in self._rules:
            self._rules[node] = self.assembler.rule()
            self._pending.append(node)
        return self._rules[node]

    def call(self, node: int) -> None:
        """Write a call to a node's rule."""
        self.assembler.call(self.rule(node))

    def write_all(self, locate: Callable[[int, GrammarError], GrammarError]) -> None:
        """Write every rule asked for; `locate` adds the place of a node to an error."""
        while self._pending or self._written:
            while self._written:
                rule, write = self._written.pop()
                self.assembler.enter(rule)
                write()
            if not self._pending:
                break
            node = self._pending.pop()
            self.assembler.enter(self._rules[node])
            try:
                self.value(self.algebra.shape(node))
            except GrammarError as error:
                raise locate(node, error) from None

    def value(self, shape: Shape) -> None:
        """Write one value of a shape, up to the end of the rule."""
        writers: list[Callable[[], object]] = []
        texts = _texts(shape)
        if texts:
            writers.append(lambda: self._words(texts))
        for numbers in shape.numbers:
            if numbers.only is None:
                writers.append(lambda numbers=numbers: self._number(numbers))  # type: ignore[misc]
        for strings in shape.strings:
            if strings.only is None:
                writers.append(lambda strings=strings: self.string(strings))  # type: ignore[misc]
        for arrays in shape.arrays:
            if self.algebra.no_array(arrays):
                continue
            writers.append(lambda arrays=arrays: self._array(arrays))  # type: ignore[misc]
        for objects in shape.objects:
            if self.algebra.no_object(objects):
                continue
            writers.append(lambda objects=objects: self.objects.write(objects))  # type: ignore[misc]
        self.alternatives(writers)

    def alternatives(self, writers: list[Callable[[], object]]) -> None:
        """Write a choice between parts that each end in END."""
        if not writers:
            self.assembler.emit(op.DEAD)
            return
        if len(writers) == 1:
            writers[0]()
            return
        row = self.assembler.split()
        starts = []
        for write in writers:
            starts.append(self.assembler.here)
            write()
        self.assembler.aim(row, starts)

    def _words(self, texts: list[bytes]) -> None:
        self.assembler.words(texts)
        self.assembler.end()

    def _number(self, numbers: NumberSet) -> None:
        self.language(number_language(numbers))

    def language(self, dfa: Dfa) -> None:
        """Write a jump to the rule that is this automaton."""
        key = (id(dfa), False)
        if key not in self._languages:
            self._languages[key] = self._later(lambda: self._automaton(dfa))
        self.assembler.tail(self._languages[key])

    def _automaton(self, dfa: Dfa) -> None:
        self.assembler.automaton(dfa)
        self.assembler.end()

    def _later(self, write: Callable[[], None]) -> int:
        rule = self.assembler.rule()
        self._written.append((rule, write))
        return rule

    def string(self, strings: StringSet) -> None:
        """Write a string of a set that is not listed."""
        self.assembler.literal(b'"')
        if strings.is_free:
            self._counted(None, strings.least, strings.most)
            return
        dfa, (least, most) = closed_language(strings)
        if not least and most is None:
            self.language(dfa)
        else:
            self._counted(dfa, least, most)

    def _counted(self, dfa: Dfa | None, least: int, most: int | None) -> None:
        """Write a jump to an automaton that counts characters."""
        if dfa is None and not least and most is None:
            self.language(free_string()[0])
            return
        if most is not None and most >= op.LENGTH_MAX:
            most = None
        if least >= op.LENGTH_MAX:
            raise GrammarError(f"strings of at least {least} characters")
        key = (id(dfa), True)
        if key not in self._languages:
            self._languages[key] = self._later(lambda: self._counting(dfa))
        allowed = op.LENGTH_MAX if most is None else most
        self.assembler.tail(self._languages[key], allowed << op.LENGTH_BITS | least)

    def _counting(self, dfa: Dfa | None) -> None:
        if dfa is None:
            dfa, needs, edges = free_string()
        else:
            needs, edges, _ = lengths(dfa)
        if needs.max(initial=0) >= 1 << (31 - op.NEED_SHIFT):
            raise GrammarError("pattern with a length bound needs too many characters")
        self.assembler.automaton(dfa, needs, edges)
        self.assembler.end()

    def _array(self, arrays: ArraySet) -> None:
        if arrays.unique and (arrays.most is None or arrays.most > 1):
            self._unique(arrays)
        elif arrays.contains:
            self._states(arrays)
        else:
            self._counted_array(arrays)

    def close(self, mark: bytes) -> None:
        """Write a closing bracket and the end of the rule."""
        self.assembler.literal(mark)
        self.assembler.end()

    def comma(self) -> None:
        """Write a comma and white space."""
        self.assembler.literal(b",")
        self.assembler.emit(op.SPACE)

    def _item(self, node: int) -> None:
        self.call(node)
        self.assembler.emit(op.SPACE)

    def _counted_array(self, arrays: ArraySet) -> None:
        """Prefix items one by one, then a loop that counts if it has to."""
        emit, assembler = self.assembler.emit, self.assembler
        least, most = arrays.least, arrays.most
        if max(least, most or 0) > MAX_COUNTED:
            raise GrammarError(f"arrays with a bound beyond {MAX_COUNTED} items")
        assembler.literal(b"[")
        emit(op.SPACE)
        closers: list[int] = []
        rest_from = len(arrays.prefix)
        for i, node in enumerate(arrays.prefix):
            if i >= least:
                closers.append(assembler.split())
            if node == NONE or (most is not None and i >= most):
                break
            if i:
                self.comma()
            self._item(node)
        else:
            self._rest(arrays, rest_from, closers)
        if least > len(arrays.prefix) and arrays.rest == NONE:
            emit(op.DEAD)
        end = assembler.here
        self.close(b"]")
        for row in closers:
            assembler.aim(row, [end, row + 1])

    def _rest(self, arrays: ArraySet, begun: int, closers: list[int]) -> None:
        emit, assembler = self.assembler.emit, self.assembler
        least, most = max(arrays.least - begun, 0), arrays.most
        most = None if most is None else most - begun
        if arrays.rest == NONE or (most is not None and most <= 0):
            return
        counts = least > 1 or most is not None
        if least == 0:
            closers.append(assembler.split())
        if begun:
            self.comma()
        item = assembler.here
        self._item(arrays.rest)
        if counts:
            emit(op.COUNT)
        row = assembler.split()
        more = assembler.here
        if most is not None:
            emit(op.AT_MOST, most - 1)
        self.comma()
        assembler.aim(emit(op.JUMP), [item])
        assembler.aim(row, [assembler.here, more])
        if least > 1:
            emit(op.AT_LEAST, least)

    def _unique(self, arrays: ArraySet) -> None:
        """Unique items, where they come from a short list of values."""
        values = sorted(_texts(self.algebra.shape(arrays.rest)))
        finite = _is_finite(self.algebra.shape(arrays.rest)) and not arrays.prefix
        if not finite or arrays.contains or len(values) > MAX_UNIQUE:
            raise GrammarError("cannot enforce uniqueItems unless items are a short list of values")
        least = arrays.least
        most = len(values) if arrays.most is None else min(arrays.most, len(values))
        emit, assembler = self.assembler.emit, self.assembler
        assembler.literal(b"[")
        emit(op.SPACE)
        opening = assembler.split()
        row = assembler.split()
        starts, jumps = [], []
        for i, spellings in enumerate(_same(values)):
            starts.append(emit(op.ONCE, i))
            assembler.words(spellings)
            jumps.append(emit(op.JUMP))
        assembler.aim(row, starts)
        most = min(most, len(starts))
        for jump in jumps:
            assembler.aim(jump, [assembler.here])
        emit(op.SPACE)
        emit(op.COUNT)
        after = assembler.split()
        more = emit(op.AT_MOST, most - 1)
        self.comma()
        assembler.aim(emit(op.JUMP), [row])
        end = emit(op.AT_LEAST, least)
        self.close(b"]")
        assembler.aim(after, [more, end])
        assembler.aim(opening, [row, end] if most and least <= most else [end] if not least else [])

    def _states(self, arrays: ArraySet) -> None:
        """Arrays with `contains`: one stretch of rows per index and count of matches."""
        constraints = sorted(arrays.contains, key=repr)
        if len(constraints) > MAX_CONTAINS:
            raise GrammarError(f"{len(constraints)} contains constraints on one array")
        _ArrayStates(self, arrays, constraints).write()


class _ArrayStates:
    def __init__(self, writer: ValueWriter, arrays: ArraySet, constraints: list[Contains]) -> None:
        self.writer = writer
        self.arrays = arrays
        self.constraints = constraints
        starts = [one.start for one in constraints]
        self.steady = max(len(arrays.prefix), arrays.least, *starts)
        self.names: dict[tuple[int, tuple[int, ...]], int] = {}
        self.rows: dict[int, int] = {}
        self.waiting: list[tuple[int, tuple[int, ...]]] = []

    def write(self) -> None:
        assembler = self.writer.assembler
        assembler.literal(b"[")
        assembler.emit(op.SPACE)
        self.jumps: list[tuple[int, int]] = []
        self._go(0, tuple(0 for _ in self.constraints))
        while self.waiting:
            state = self.waiting.pop()
            self.rows[self.names[state]] = assembler.here
            self._state(*state)
        for row, name in self.jumps:
            assembler.aim(row, [self.rows[name]])

    def _go(self, index: int, counts: tuple[int, ...]) -> None:
        if self.arrays.most is None:
            index = min(index, self.steady + 1)
        state = (index, counts)
        if state not in self.names:
            self.names[state] = len(self.names)
            self.waiting.append(state)
            if len(self.names) > MAX_ARRAY_STATES:
                raise GrammarError(f"contains needs more than {MAX_ARRAY_STATES} states")
        self.jumps.append((self.writer.assembler.emit(op.JUMP), self.names[state]))

    def _state(self, index: int, counts: tuple[int, ...]) -> None:
        """Behind `index` items, white space read: close, or go on with one more."""
        writer, arrays = self.writer, self.arrays
        parts: list[Callable[[], object]] = []
        done = all(c >= one.least for c, one in zip(counts, self.constraints, strict=True))
        if done and index >= arrays.least:
            parts.append(lambda: writer.close(b"]"))
        if arrays.most is None or index < arrays.most:
            for chosen in self._choices(index, counts):
                parts.append(lambda chosen=chosen: self._next(index, counts, chosen))  # type: ignore[misc]
        writer.alternatives(parts)

    def _choices(self, index: int, counts: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
        live = [i for i, one in enumerate(self.constraints) if index >= one.start]
        for size in range(len(live) + 1):
            for chosen in combinations(live, size):
                if all(self._may_match(i, counts[i]) for i in chosen):
                    yield chosen

    def _may_match(self, i: int, count: int) -> bool:
        most = self.constraints[i].most
        return count < most if most is not None else count < self.constraints[i].least

    def _next(self, index: int, counts: tuple[int, ...], chosen: tuple[int, ...]) -> None:
        writer, algebra = self.writer, self.writer.algebra
        if index:
            writer.comma()
        node = self.arrays.item(index)
        for i, one in enumerate(self.constraints):
            if i in chosen:
                node = algebra.both(node, one.node)
            elif one.most is not None and index >= one.start:
                node = algebra.both(node, algebra.inverse(one.node))
        writer._item(node)
        self._go(index + 1, tuple(c + (i in chosen) for i, c in enumerate(counts)))


def _texts(shape: Shape) -> list[bytes]:
    """The texts of all values a shape lists one by one."""
    texts = [b"null"] if shape.null else []
    texts += [b"true" if value else b"false" for value in sorted(shape.booleans)]
    for numbers in shape.numbers:
        texts += [text for value in sorted(numbers.only or ()) for text in number_texts(value)]
    for strings in shape.strings:
        texts += [b'"' + inside(text) + b'"' for text in sorted(strings.only or ())]
    return texts


def _is_finite(shape: Shape) -> bool:
    return (
        not shape.arrays
        and not shape.objects
        and all(numbers.only is not None for numbers in shape.numbers)
        and all(strings.only is not None for strings in shape.strings)
    )


def _same(texts: list[bytes]) -> list[list[bytes]]:
    """Texts grouped by the value they spell."""
    import json

    groups: dict[object, list[bytes]] = {}
    for text in texts:
        value = json.loads(text)
        key = (isinstance(value, bool), isinstance(value, str), value)
        groups.setdefault(key, []).append(text)
    return list(groups.values())
