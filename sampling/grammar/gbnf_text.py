"""GBNF texts -> syntax trees of their rules: llama.cpp's grammar notation.

`name ::= ...` with "literals", [classes], [^negated ones], `.`, `|`, `( )`, `* + ? {m} {m,} {m,n}`,
`# comments`, and the token terminals `<text>`, `<[id]>` and `!` before either. Escapes: \\n \\r \\t
\\\\ \\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from . import charset
from .digits import decimal, hexadecimal
from .errors import GrammarError, spend
from .program import TokenId
from .regex import Chars, Choice, Node, Repeat, Sequence

MAX_REPEAT = 100_000
MAX_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule's name where it is used."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token terminal: one token, or any but that one."""

    token: int
    negative: bool


Tree = Node | Reference | Token


class RuleParser:
    """Reads one grammar text; errors carry line and column."""

    def __init__(self, text: str, token_id: TokenId | None, n_vocab: int) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.token_id = token_id
        self.n_vocab = n_vocab

    def fail(self, reason: str, at: int | None = None) -> GrammarError:
        at = self.at if at is None else at
        line = self.text.count("\n", 0, at) + 1
        return GrammarError(reason, line=line, column=at - self.text.rfind("\n", 0, at))

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, piece: str) -> bool:
        if not self.text.startswith(piece, self.at):
            return False
        self.at += len(piece)
        return True

    def blank(self, newlines: bool) -> None:
        while self.peek() and (self.peek() in " \t#" or (newlines and self.peek() in "\r\n")):
            if self.peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                self.at += 1

    def name(self) -> str:
        start = self.at
        while self.peek().isascii() and (self.peek().isalnum() or self.peek() in ("-", "_")):
            self.at += 1
        if start == self.at:
            raise self.fail(f"expected a rule name, found {self.peek()!r}")
        return self.text[start : self.at]

    def rules(self) -> Iterator[tuple[str, Tree, int]]:
        self.blank(True)
        while self.at < len(self.text):
            start = self.at
            name = self.name()
            self.blank(False)
            if not self.take("::="):
                raise self.fail(f"expected '::=' after {name!r}, found {self.peek()!r}")
            self.blank(True)
            tree = self.choice()
            if self.at < len(self.text) and self.peek() not in "\r\n":
                raise self.fail(f"expected the end of the rule, found {self.peek()!r}")
            self.blank(True)
            yield name, tree, start

    def choice(self) -> Tree:
        branches = [self.sequence()]
        while self._another():
            self.blank(True)
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))  # type: ignore[arg-type]

    def _another(self) -> bool:
        if self.take("|"):
            return True
        here = self.at
        self.blank(True)
        if self.take("|"):
            return True
        self.at = here
        return False

    def sequence(self) -> Tree:
        parts: list[Tree] = []
        while True:
            self.blank(self.depth > 0)
            if not self.peek() or self.peek() in "|)\r\n":
                break
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))  # type: ignore[arg-type]

    def repeated(self, tree: Tree) -> Tree:
        while True:
            self.blank(self.depth > 0)
            simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek())
            if simple is not None:
                self.at += 1
            elif self.peek() == "{":
                simple = self.bounds()
            else:
                return tree
            tree = Repeat(tree, *simple)  # type: ignore[arg-type]

    def bounds(self) -> tuple[int, int | None]:
        start, end = self.at, self.text.find("}", self.at)
        low, comma, high = self.text[start + 1 : end].partition(",")
        low, high = low.strip(), high.strip()
        least = decimal(low or "0" if comma else low)
        most = decimal(high) if high else None if comma else least
        if end < 0 or least is None or (high and most is None):
            raise self.fail("expected {m}, {m,} or {m,n}")
        if max(least, most or 0) > MAX_REPEAT:
            raise self.fail(f"repetition beyond {MAX_REPEAT}")
        if most is not None and most < least:
            raise self.fail("repetition bounds are out of order")
        self.at = end + 1
        return least, most

    def atom(self) -> Tree:
        start = self.at
        spend(4)
        if self.take('"'):
            return self.literal(start)
        if self.take("["):
            return self.char_class(start)
        if self.take("."):
            return Chars(charset.ALL)
        if self.take("("):
            return self.group(start)
        if self.take("!"):
            if not self.take("<"):
                raise self.fail(f"expected a token terminal after '!', found {self.peek()!r}")
            return self.token(start, True)
        if self.take("<"):
            return self.token(start, False)
        return Reference(self.name(), start)

    def group(self, start: int) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"groups nested deeper than {MAX_DEPTH}")
        self.blank(True)
        tree = self.choice()
        self.blank(True)
        if not self.take(")"):
            raise self.fail("group without ')'", start)
        self.depth -= 1
        return tree

    def literal(self, start: int) -> Tree:
        chars: list[Node] = []
        while not self.take('"'):
            if not self.peek() or self.peek() == "\n":
                raise self.fail("literal without closing '\"'", start)
            point = self.point()
            chars.append(Chars(((point, point),)))
        return chars[0] if len(chars) == 1 else Sequence(tuple(chars))

    def char_class(self, start: int) -> Tree:
        negative = self.take("^")
        ranges = []
        while not self.take("]"):
            if not self.peek():
                raise self.fail("class without ']'", start)
            low = high = self.point()
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.point()
            if high < low:
                raise self.fail("class range is out of order")
            ranges.append((low, high))
        found = charset.union(ranges)
        return Chars(charset.complement(found) if negative else found)

    def point(self) -> int:
        char = self.peek()
        self.at += 1
        spend(3)
        if char != "\\":
            return ord(char)
        kind = self.peek()
        self.at += 1
        digits = {"x": 2, "u": 4, "U": 8}.get(kind)
        if digits is None:
            plain = {"n": 10, "r": 13, "t": 9}.get(kind)
            if plain is None and kind not in ("\\", '"', "[", "]", "-", "^"):
                raise self.fail(f"unknown escape '\\{kind}'", self.at - 2)
            return ord(kind) if plain is None else plain
        piece = self.text[self.at : self.at + digits]
        point = hexadecimal(piece, digits)
        if not 0 <= point <= charset.TOP or 0xD800 <= point <= 0xDFFF:
            raise self.fail(f"expected {digits} hexadecimal digits of a character, found {piece!r}")
        self.at += digits
        return point

    def token(self, start: int, negative: bool) -> Token:
        end = self.text.find(">", self.at)
        body = self.text[self.at : end]
        if end < 0 or "\n" in body:
            raise self.fail("token terminal without '>'", start)
        self.at = end + 1
        token = decimal(body[1:-1]) if body[:1] == "[" and body[-1:] == "]" else None
        if token is not None:
            if token >= self.n_vocab:
                below = f"expected one below the vocabulary's size {self.n_vocab}"
                raise self.fail(f"token id {token}, {below}", start)
            return Token(token, negative)
        found = self.token_id(f"<{body}>") if self.token_id else None
        if found is None:
            raise self.fail(f"the vocabulary has no token '<{body}>'", start)
        return Token(found, negative)


def check_references(tree: Tree, rules: dict[str, Tree], parser: RuleParser) -> None:
    if isinstance(tree, Reference):
        if tree.name not in rules:
            raise parser.fail(f"rule {tree.name!r} is not defined", tree.at)
    elif isinstance(tree, Repeat):
        check_references(tree.part, rules, parser)
    elif isinstance(tree, Sequence | Choice):
        for part in tree.parts:
            check_references(part, rules, parser)
