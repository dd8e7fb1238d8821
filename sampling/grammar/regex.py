"""Regular expressions -> syntax trees: the common part of ECMA-262 and Python.

Literals and escapes, classes, `.`, groups, alternatives, `* + ? {m} {m,} {m,n}` (lazy or possessive
marks change nothing here), `^` and `$` anywhere, `\\p{..}` categories, lookahead at the start of
the pattern. Back references, lookbehind and other assertions are errors. `\\d \\w` are ASCII, as in
ECMA-262.
"""

from dataclasses import dataclass
from functools import lru_cache

from . import charset
from .charset import Ranges
from .digits import decimal, hexadecimal
from .errors import GrammarError

MAX_REPEAT = 100_000


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `least` times, at most `most` (None: no limit)."""

    part: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Nothing, at the start (`^`) or the end (`$`) only."""

    at_end: bool


@dataclass(frozen=True, slots=True)
class Look:
    """Nothing, if what follows begins with `part` (or does not)."""

    part: "Node"
    negative: bool


Node = Chars | Sequence | Choice | Repeat | Anchor | Look
EMPTY = Sequence(())
START, STOP = Anchor(False), Anchor(True)

_CLASSES = {"d": charset.DIGIT, "w": charset.WORD, "s": charset.BLANK}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0, "a": 7, "e": 27}


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.depth = 0

    def fail(self, reason: str) -> GrammarError:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - (self.text.rfind("\n", 0, self.at) + 1) + 1
        return GrammarError(f"pattern {self.text[:80]!r}: {reason}", line=line, column=column)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, piece: str) -> bool:
        if not self.text.startswith(piece, self.at):
            return False
        self.at += len(piece)
        return True

    def whole(self) -> Node:
        node = self.choice()
        if self.at < len(self.text):
            raise self.fail("unbalanced ')'")
        return node

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > 100:
            raise self.fail("groups nested deeper than 100")
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        self.depth -= 1
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.peek() not in "|)":
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self) -> Node:
        node = self.atom()
        while True:
            bounds = self.quantifier()
            if bounds is None:
                return node
            if isinstance(node, Anchor | Look):
                raise self.fail("a quantifier needs something to repeat")
            node = Repeat(node, *bounds)

    def quantifier(self) -> tuple[int, int | None] | None:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek())
        if simple is not None:
            self.at += 1
            self.take("?") or self.take("+")
            return simple
        if self.peek() != "{":
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        least, most = decimal(low), decimal(high)
        if end < 0 or least is None or (high and most is None):
            return None  # ECMA-262 annex B: a lone brace is itself
        most = most if comma else least
        if max(least, most or 0) > MAX_REPEAT:
            raise self.fail(f"repetition beyond {MAX_REPEAT}")
        if most is not None and most < least:
            raise self.fail(f"repetition {{{low},{high}}} is out of order")
        self.at = end + 1
        self.take("?") or self.take("+")
        return least, most

    def atom(self) -> Node:
        char = self.peek()
        self.at += 1
        if char == "(":
            return self.group()
        if char == "[":
            return Chars(self.set())
        if char == ".":
            return Chars(charset.NOT_LINE_END)
        if char == "^":
            return START
        if char == "$":
            return STOP
        if char == "\\":
            return self.escape()
        if char in "*+?":
            self.at -= 1
            raise self.fail(f"{char!r} has nothing to repeat")
        return Chars(((ord(char), ord(char)),))

    def group(self) -> Node:
        look = None
        if self.take("?=") or self.take("?!"):
            look = self.text[self.at - 1] == "!"
        elif self.take("?<=") or self.take("?<!"):
            raise self.fail("lookbehind is not supported")
        elif self.take("?P<") or self.take("?<"):
            end = self.text.find(">", self.at)
            if end < 0:
                raise self.fail("unterminated group name")
            self.at = end + 1
        elif self.take("?") and not self.take(":"):
            raise self.fail(f"group '(?{self.peek()}' is not supported")
        node = self.choice()
        if not self.take(")"):
            raise self.fail("missing ')'")
        return node if look is None else Look(node, look)

    def escape(self) -> Node:
        char = self.peek()
        if char == "b" or char == "B":
            raise self.fail("word boundaries are not supported")
        if char.isdigit() and char != "0":
            raise self.fail("back references are not supported")
        if char in ("A", "Z", "z") and char:
            self.at += 1
            return START if char == "A" else STOP
        if char == "k" and self.text.startswith("k<", self.at):
            raise self.fail("back references are not supported")
        return Chars(self.escaped())

    def escaped(self) -> Ranges:
        """The set an escape stands for, the backslash being read."""
        char = self.peek()
        if not char:
            raise self.fail("pattern ends in a backslash")
        self.at += 1
        if char in "dws":
            return _CLASSES[char]
        if char in "DWS":
            return charset.complement(_CLASSES[char.lower()])
        if char in "pP" and self.take("{"):
            return self.category(char == "P")
        point = self.point(char)
        return ((point, point),)

    def category(self, negative: bool) -> Ranges:
        end = self.text.find("}", self.at)
        found = charset.category(self.text[self.at : end]) if end > 0 else None
        if found is None:
            raise self.fail("unknown Unicode category")
        self.at = end + 1
        return charset.complement(found) if negative else found

    def point(self, char: str) -> int:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            return self.hexadecimal(2)
        if char == "c" and self.peek().isascii() and self.peek().isalpha():
            self.at += 1
            return ord(self.text[self.at - 1]) % 32
        if char == "u":
            return self.unicode()
        return ord(char)

    def unicode(self) -> int:
        if self.take("{"):
            end = self.text.find("}", self.at)
            if end < 0:
                raise self.fail("missing '}'")
            point = self.hexadecimal(max(end - self.at, 1))
            self.at += 1
            return point
        point = self.hexadecimal(4)
        after = self.at
        if 0xD800 <= point <= 0xDBFF and self.take("\\u"):
            low = self.hexadecimal(4)
            if 0xDC00 <= low <= 0xDFFF:
                return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            self.at = after  # no pair: half a character and another one
        return point

    def hexadecimal(self, digits: int) -> int:
        piece = self.text[self.at : self.at + digits]
        point = hexadecimal(piece, digits)
        if not 0 <= point <= charset.TOP:
            raise self.fail(
                f"expected {digits} hexadecimal digits of a code point, found {piece!r}"
            )
        self.at += digits
        return point

    def set(self) -> Ranges:
        negative = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            if self.at >= len(self.text):
                raise self.fail("missing ']'")
            low = self.member()
            is_range = self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", "")
            if not is_range or len(low) != 1 or low[0][0] != low[0][1]:
                ranges.extend(low)
                continue
            self.at += 1
            high = self.member()
            if len(high) != 1 or high[0][0] != high[0][1]:
                ranges.extend([*low, (45, 45), *high])
                continue
            if high[0][0] < low[0][0]:
                raise self.fail("character range is out of order")
            ranges.append((low[0][0], high[0][0]))
        found = charset.union(ranges)
        return charset.complement(found) if negative else found

    def member(self) -> Ranges:
        char = self.peek()
        self.at += 1
        if char != "\\":
            return ((ord(char), ord(char)),)
        if self.take("b"):
            return ((8, 8),)
        return self.escaped()


@lru_cache(maxsize=512)
def parse_regex(pattern: str) -> Node:
    """The syntax tree of a pattern; GrammarError with line and column if it has none."""
    try:
        return _Parser(pattern).whole()
    except RecursionError:
        raise GrammarError(f"pattern {pattern[:80]!r} is nested too deeply") from None
