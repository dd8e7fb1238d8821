"""Syntax trees -> byte automata, for plain text (UTF-8) or for the inside of a JSON string.

A JSON string is written one way here: characters as they are, `"` `\\` and controls escaped; of two
patterns' automata the intersection and difference are therefore those of the strings themselves.
"""

from collections.abc import Callable
from functools import lru_cache

from . import charset
from .charset import ALL, Ranges
from .dfa import Dfa, Nfa
from .errors import GrammarError
from .regex import START, STOP, Anchor, Chars, Choice, Look, Node, Repeat, Sequence, parse_regex

WriteSet = Callable[[Nfa, Ranges, int, int], None]

_SHORT = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
_RAW = charset.complement(charset.union([(0, 31), (34, 34), (92, 92)]))
_CONTROL: Ranges = ((0, 31), (34, 34), (92, 92))
ANY_CHAR = Chars(ALL)
ANY_TEXT = Repeat(ANY_CHAR, 0, None)
AFTER = Repeat(ANY_CHAR, 0, None)  # the same, told apart by identity: all that follows a match


def write_utf8(nfa: Nfa, ranges: Ranges, start: int, end: int) -> None:
    """Add the UTF-8 of a set of characters between two states."""
    tails: dict[tuple[tuple[int, int], ...], int] = {(): end}
    for sequence in charset.utf8(ranges):
        for cut in range(len(sequence) - 1, 0, -1):
            tail = sequence[cut:]
            if tail not in tails:
                tails[tail] = nfa.state()
                nfa.edge(tails[tail], *tail[0], tails[tail[1:]])
        nfa.edge(start, *sequence[0], tails[sequence[1:]])


def write_json(nfa: Nfa, ranges: Ranges, start: int, end: int) -> None:
    """Add the characters as they are written inside a JSON string."""
    write_utf8(nfa, charset.intersect(ranges, _RAW), start, end)
    for low, high in charset.intersect(ranges, _CONTROL):
        for point in range(low, high + 1):
            _write_escape(nfa, point, start, end)


def _write_escape(nfa: Nfa, point: int, start: int, end: int) -> None:
    text = _SHORT.get(point, b"\\u%04x" % point)
    for i, byte in enumerate(text):
        to = end if i == len(text) - 1 else nfa.state()
        nfa.edge(start, byte, byte, to)
        if byte >= 97 and i > 1:
            nfa.edge(start, byte - 32, byte - 32, to)
        start = to


class _Builder:
    """Thompson's construction; with `phases`, every state is kept apart by where it may stand:
    0 nothing read yet, 1 within, 2 nothing may follow, 3 both 0 and 2."""

    def __init__(self, write: WriteSet, phases: bool) -> None:
        self.nfa = Nfa()
        self.write = write
        self.phases = (0, 1, 2, 3) if phases else (1,)
        self.top = -1

    def state(self) -> dict[int, int]:
        return {phase: self.nfa.state() for phase in self.phases}

    def link(self, a: dict[int, int], b: dict[int, int]) -> None:
        for phase in self.phases:
            self.nfa.link(a[phase], b[phase])

    def build(self, node: Node, start: dict[int, int]) -> dict[int, int]:
        match node:
            case Chars():
                return self.chars(node, start)
            case Sequence():
                for part in node.parts:
                    start = self.build(part, start)
                return start
            case Choice():
                end = self.state()
                for part in node.parts:
                    self.link(self.build(part, start), end)
                return end
            case Repeat():
                return self.repeat(node, start)
            case Anchor():
                return self.anchor(node, start)
            case Look():
                raise GrammarError("lookahead is supported at the start of a pattern only")

    def chars(self, node: Chars, start: dict[int, int]) -> dict[int, int]:
        end = self.state()
        for phase in self.phases:
            if phase < 2:
                self.write(self.nfa, node.ranges, start[phase], end[1])
        return end

    def repeat(self, node: Repeat, start: dict[int, int]) -> dict[int, int]:
        for _ in range(node.least):
            start = self.build(node.part, start)
        if node.most is None:
            loop = self.state()
            self.link(start, loop)
            self.link(self.build(node.part, loop), loop)
            end = self.state()
            self.link(loop, end)
            if node is AFTER:
                self.top = loop[1]
            return end
        end = self.state()
        for _ in range(node.most - node.least):
            self.link(start, end)
            start = self.build(node.part, start)
        self.link(start, end)
        return end

    def anchor(self, node: Anchor, start: dict[int, int]) -> dict[int, int]:
        end = self.state()
        if node.at_end:
            for here, there in ((0, 3), (1, 2), (2, 2), (3, 3)):
                self.nfa.link(start[here], end[there])
        else:
            for phase in (0, 3):
                self.nfa.link(start[phase], end[phase])
        return end


def _has_anchor(node: Node) -> bool:
    if isinstance(node, Anchor):
        return True
    if isinstance(node, Sequence | Choice):
        return any(_has_anchor(part) for part in node.parts)
    return isinstance(node, Repeat) and _has_anchor(node.part)


def _parts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Sequence) else (node,)


def _whole(node: Node, write: WriteSet) -> Dfa:
    """All texts that `node` matches from start to end."""
    phases = _has_anchor(node)
    builder = _Builder(write, phases)
    start = builder.state()
    end = builder.build(node, start)
    final = builder.nfa.state()
    for state in end.values():
        builder.nfa.link(state, final)
    return builder.nfa.dfa(start[0] if phases else start[1], final, builder.top)


def _search(node: Node) -> Node:
    """The pattern of all texts that hold a match of `node` somewhere.

    Alternatives share what may stand before and after them, or the automaton would keep a record of
    every alternative it has seen begin.
    """
    groups: dict[tuple[bool, bool], list[Node]] = {}
    for branch in node.parts if isinstance(node, Choice) else (node,):
        parts = _parts(branch)
        at_start, at_end = parts[:1] == (START,), parts[-1:] == (STOP,)
        core = parts[at_start : len(parts) - at_end] if parts not in ((START,), (STOP,)) else ()
        groups.setdefault((at_start, at_end), []).append(Sequence(core))
    open_end = _joined(groups.get((False, False)), groups.get((True, False)))
    closed_end = _joined(groups.get((False, True)), groups.get((True, True)))
    whole: list[Node] = [Sequence((open_end, AFTER))] if open_end else []
    whole += [closed_end] if closed_end else []
    return Choice(tuple(whole))


def _joined(floating: list[Node] | None, at_start: list[Node] | None) -> Node | None:
    parts: list[Node] = list(at_start or [])
    if floating:
        parts.append(Sequence((ANY_TEXT, Choice(tuple(floating)))))
    return Choice(tuple(parts)) if parts else None


def _with_looks(node: Node, write: WriteSet, body: Callable[[Node], Node]) -> Dfa | None:
    """A pattern `^(?=..)(?!..)rest`: what `body` makes of `^rest`, cut by the lookaheads."""
    parts = _parts(node)
    if len(parts) < 2 or parts[0] != START or not isinstance(parts[1], Look):
        return None
    looks = []
    for part in parts[1:]:
        if not isinstance(part, Look):
            break
        looks.append(part)
    found = _whole(body(Sequence((START, *parts[1 + len(looks) :]))), write)
    for look in looks:
        ahead = _whole(_search(Sequence((START, look.part))), write)
        found = found - ahead if look.negative else found & ahead
    return found


@lru_cache(maxsize=512)
def text_language(pattern: str) -> Dfa:
    """UTF-8 texts that match the pattern from start to end (the `regex` grammar kind)."""
    node = parse_regex(pattern)
    parts = _parts(node)
    from_start = node if parts[:1] == (START,) else Sequence((START, *parts))
    looks = _with_looks(from_start, write_utf8, lambda rest: rest)
    return _whole(node, write_utf8) if looks is None else looks


def text_tree(node: Node) -> Dfa:
    """UTF-8 texts that a syntax tree matches from start to end."""
    return _whole(node, write_utf8)


@lru_cache(maxsize=1024)
def string_language(pattern: str) -> Dfa:
    """Insides of JSON strings in which the pattern is found somewhere (JSON Schema's `pattern`)."""
    node = parse_regex(pattern)
    looks = _with_looks(node, write_json, _search)
    return _whole(_search(node), write_json) if looks is None else looks


def string_whole(node: Node) -> Dfa:
    """Insides of JSON strings that a syntax tree matches from start to end."""
    return _whole(node, write_json)


@lru_cache(maxsize=1)
def any_string() -> Dfa:
    """The inside of any JSON string."""
    return _whole(ANY_TEXT, write_json)


@lru_cache(maxsize=256)
def string_length(least: int, most: int | None) -> Dfa:
    """Insides of JSON strings of least..most characters."""
    return _whole(Repeat(ANY_CHAR, least, most), write_json)
