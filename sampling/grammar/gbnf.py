"""GBNF grammars -> programs; left recursion is allowed.

Rules and parts of rules without recursion become byte automata, long choices between literals a
tree of words, all else calls between rules.
"""

from collections.abc import Iterator

from ...kernels.grammar import opcodes as op
from ...kernels.grammar.trie import NO_TOKEN
from .dfa import Dfa
from .errors import MAX_NFA, GrammarError, budget, spend
from .gbnf_text import Reference, RuleParser, Token, Tree, check_references
from .language import text_tree
from .program import Assembler, CompiledGrammar, TokenId
from .regex import Chars, Choice, Node, Repeat, Sequence

MANY_WORDS = 64  # literals, from here on as a tree of words
MAX_REGULAR = 3000  # characters and classes of an automaton, repetitions counted


class _Compiler:
    def __init__(self, rules: dict[str, Tree]) -> None:
        self.rules = rules
        self.assembler = Assembler()
        self.numbers: dict[str, int] = {}
        self.pending: list[str] = []
        self.regular: dict[str, Node | None] = {}
        self.automata: dict[Node, Dfa] = {}

    def compile(self) -> CompiledGrammar:
        self._find_regular()
        root = self.number("root")
        while self.pending:
            name = self.pending.pop()
            self.assembler.enter(self.numbers[name])
            self.write(self.rules[name], True)
        return self.assembler.finish(root, "gbnf")

    def number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = self.assembler.rule()
            self.pending.append(name)
        return self.numbers[name]

    def _find_regular(self) -> None:
        """Rules without recursion and tokens, as one tree each, innermost first."""
        waiting = {name: set(_references(tree)) for name, tree in self.rules.items()}
        users: dict[str, list[str]] = {}
        for name, used in waiting.items():
            for other in used:
                users.setdefault(other, []).append(name)
        ready = [name for name, used in waiting.items() if not used]
        while ready:
            name = ready.pop()
            self.regular[name] = self.plain(self.rules[name])
            for user in users.get(name, ()):
                waiting[user].discard(name)
                if not waiting[user]:
                    ready.append(user)

    def plain(self, tree: Tree) -> Node | None:
        """The tree with its references replaced, or None if that is not regular or too large."""
        found = self._replace(tree)
        return found if found is not None and _weight(found) <= MAX_REGULAR else None

    def _replace(self, tree: Tree) -> Node | None:
        if isinstance(tree, Reference):
            return self.regular.get(tree.name)
        if isinstance(tree, Token):
            return None
        if isinstance(tree, Repeat):
            part = self._replace(tree.part)
            return None if part is None else Repeat(part, tree.least, tree.most)
        if isinstance(tree, Sequence | Choice):
            spend(len(tree.parts))
            parts = [self._replace(part) for part in tree.parts]
            known = tuple(part for part in parts if part is not None)
            return type(tree)(known) if len(known) == len(parts) else None
        return tree

    def write(self, tree: Tree, last: bool) -> None:
        """Write rows for a tree; `last`: END follows it."""
        words = _words(tree)
        node = self.plain(tree) if words is None else None
        if words is not None:
            self.assembler.words(words)
        elif node is not None:
            self._automaton(node)
        elif isinstance(tree, Reference):
            if last:
                self.assembler.tail(self.number(tree.name))
                return
            self.assembler.call(self.number(tree.name))
        elif isinstance(tree, Token):
            self.assembler.emit(op.OTHER_TOKEN if tree.negative else op.TOKEN, tree.token)
        elif isinstance(tree, Sequence):
            self._sequence(tree, last)
            return
        elif isinstance(tree, Choice):
            self._choice(tree, last)
            return
        elif isinstance(tree, Repeat):
            self._repeat(tree)
        if last:
            self.assembler.end()

    def _automaton(self, node: Node) -> None:
        if node not in self.automata:
            self.automata[node] = text_tree(node)
        self.assembler.automaton(self.automata[node])

    def _sequence(self, tree: Sequence, last: bool) -> None:
        parts: list[Tree] = []
        run: list[Node] = []
        for part in tree.parts:
            node = self.plain(part)
            if node is not None:
                run.append(node)
                continue
            parts += [Sequence(tuple(run)), part] if run else [part]
            run = []
        parts += [Sequence(tuple(run))] if run else []
        for i, piece in enumerate(parts):
            self.write(piece, last and i == len(parts) - 1)

    def _choice(self, tree: Choice, last: bool) -> None:
        assembler = self.assembler
        row = assembler.split()
        starts, jumps = [], []
        for part in tree.parts:
            starts.append(assembler.here)
            self.write(part, last)
            if not last:
                jumps.append(assembler.emit(op.JUMP))
        assembler.aim(row, starts)
        for jump in jumps:
            assembler.aim(jump, [assembler.here])

    def _repeat(self, tree: Repeat) -> None:
        assembler = self.assembler
        for _ in range(tree.least):
            self.write(tree.part, False)
        if tree.most is None:
            row = assembler.split()
            self.write(tree.part, False)
            assembler.aim(assembler.emit(op.JUMP), [row])
            assembler.aim(row, [row + 1, assembler.here])
            return
        rows = []
        for _ in range(tree.most - tree.least):
            rows.append(assembler.split())
            self.write(tree.part, False)
        for row in rows:
            assembler.aim(row, [row + 1, assembler.here])


def _references(tree: Tree) -> Iterator[str]:
    if isinstance(tree, Reference):
        yield tree.name
    elif isinstance(tree, Token):
        yield ""  # never ready: a rule with a token is not regular
    elif isinstance(tree, Repeat):
        yield from _references(tree.part)
    elif isinstance(tree, Sequence | Choice):
        for part in tree.parts:
            yield from _references(part)


def _words(tree: Tree) -> list[bytes] | None:
    """The texts of a choice between literals that is too large for an automaton."""
    if not isinstance(tree, Choice) or len(tree.parts) < MANY_WORDS:
        return None
    words = [_word(part) for part in tree.parts]
    known = [word for word in words if word is not None]
    return known if len(known) == len(words) else None


def _word(tree: Tree) -> bytes | None:
    parts = tree.parts if isinstance(tree, Sequence) else (tree,)
    text = ""
    for part in parts:
        if not isinstance(part, Chars) or len(part.ranges) != 1:
            return None
        low, high = part.ranges[0]
        if low != high:
            return None
        text += chr(low)
    return text.encode()


def _weight(node: Node) -> int:
    """Characters and classes after unrolling, as an upper bound that stops at MAX_NFA."""
    if isinstance(node, Repeat):
        times = node.least + 1 if node.most is None else max(node.most, 1)
        return min(times * _weight(node.part), MAX_NFA)
    if isinstance(node, Sequence | Choice):
        return min(sum(_weight(part) for part in node.parts), MAX_NFA)
    return 1


def compile_gbnf(
    text: str, *, token_id: TokenId | None = None, n_vocab: int = NO_TOKEN
) -> CompiledGrammar:
    """Compile a GBNF grammar with a rule `root`; `token_id` finds the id of `<text>` terminals.

    Ids in `<[id]>` terminals must be below `n_vocab`.
    """
    with budget():
        return _compile(RuleParser(text, token_id, n_vocab))


def _compile(parser: RuleParser) -> CompiledGrammar:
    rules: dict[str, Tree] = {}
    for name, tree, at in parser.rules():
        if name in rules:
            raise parser.fail(f"rule {name!r} is defined twice", at)
        rules[name] = tree
    if "root" not in rules:
        raise GrammarError("grammar has no rule 'root'", line=1, column=1)
    for tree in rules.values():
        check_references(tree, rules, parser)
    return _Compiler(rules).compile()
