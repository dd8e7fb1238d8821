"""Assemble a grammar into the parser's program: rules of instruction rows, pruned of dead ends.

A rule is a stretch of rows from its entry to END rows; rules call each other by key (rule, first
data). `Assembler` writes rows in order; forward targets are patched. `finish` marks which rows can
reach the end of their rule and turns all others into DEAD, so that whatever the parser lets through
can be completed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...kernels.grammar import liveness
from ...kernels.grammar import opcodes as op
from .dfa import Dfa
from .errors import MAX_ROWS, GrammarError

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Arrays = tuple[I32, I32, I32, U8, U8, I64, I32]
TokenId = Callable[[str], int | None]
MAX_TRANS_BYTES = 192 << 20


@dataclass(frozen=True, eq=False)
class CompiledGrammar:
    """A grammar ready for `GrammarMask`: the arrays of kernels/grammar/parser.py's `program`.

    `notes` tells what was ignored; `kind` is gbnf, regex, choice or json.
    """

    arrays: Arrays
    kind: str
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Instructions in the program."""
        return len(self.arrays[0])


class Assembler:
    """Rows, tables and rules under construction."""

    def __init__(self) -> None:
        self.code: list[int] = []  # four a row
        self.targets: list[int] = []
        self._trans: list[I32] = []
        self._trans_size = 0
        self._maps: dict[bytes, int] = {}
        self._sets: dict[bytes, int] = {}
        self._consts: dict[int, int] = {0: 0}
        self._keys: dict[tuple[int, int], int] = {}
        self._entries: list[int] = []  # of each rule; -1: not written yet
        self._places: list[int] = []  # row of each label
        self._jumps: list[tuple[int, int]] = []  # (row, label)
        self._forks: list[tuple[int, int]] = []  # (index in targets, label)
        self._tails: list[tuple[int, int]] = []  # (row, rule): jumps to entries
        self._onward: list[tuple[int, int, int]] = []  # (first row, rows, continuation) of automata

    @property
    def here(self) -> int:
        """The next row's number."""
        return len(self.code) >> 2

    def emit(self, opcode: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Write one row; its number."""
        row = len(self.code) >> 2
        if row >= MAX_ROWS:
            raise GrammarError(f"grammar needs more than {MAX_ROWS} instructions")
        self.code += (opcode, a, b, c)
        return row

    def literal(self, text: bytes) -> None:
        """Write rows that read exactly these bytes."""
        if self.here + len(text) > MAX_ROWS:
            raise GrammarError(f"grammar needs more than {MAX_ROWS} instructions")
        for byte in text:
            self.code += (op.BYTE, byte, 0, 0)

    def split(self, rows: Sequence[int] = ()) -> int:
        """Write a SPLIT; its targets may be given now or with `aim`."""
        row = self.emit(op.SPLIT)
        if rows:
            self.aim(row, rows)
        return row

    def aim(self, row: int, rows: Sequence[int]) -> None:
        """Set the targets of a SPLIT or of a JUMP."""
        if self.code[row * 4] == op.JUMP:
            self.code[row * 4 + 1] = rows[0]
            return
        self.code[row * 4 + 1] = len(self.targets)
        self.code[row * 4 + 2] = len(rows)
        self.targets += rows

    def label(self) -> int:
        """Reserve a label."""
        self._places.append(-1)
        return len(self._places) - 1

    def place(self, label: int) -> None:
        """Put a label at the next row."""
        self._places[label] = self.here

    def jump(self, label: int) -> None:
        """Write a jump to a label, placed or not."""
        self._jumps.append((self.emit(op.JUMP), label))

    def fork(self, labels: Sequence[int]) -> None:
        """Write a choice between labels."""
        if len(labels) == 1:
            self.jump(labels[0])
            return
        self.emit(op.SPLIT, len(self.targets), len(labels))
        self._forks += ((len(self.targets) + i, label) for i, label in enumerate(labels))
        self.targets += [-1] * len(labels)

    def const(self, value: int) -> int:
        """Number of a constant."""
        return self._consts.setdefault(value, len(self._consts))

    def byte_set(self, members: bytes) -> int:
        """Number of a set given as 256 bytes of 0 or 1."""
        return self._sets.setdefault(members, len(self._sets))

    def rule(self) -> int:
        """Reserve a rule."""
        self._entries.append(-1)
        return len(self._entries) - 1

    def enter(self, rule: int) -> None:
        """Begin a reserved rule here."""
        self._entries[rule] = self.here

    def key(self, rule: int, data: int = 0) -> int:
        """Number of the call key (rule, first data)."""
        return self._keys.setdefault((rule, data), len(self._keys))

    def call(self, rule: int, data: int = 0) -> int:
        """Write a call."""
        return self.emit(op.CALL, self.key(rule, data))

    def tail(self, rule: int, data: int = 0) -> None:
        """Write a call whose return would only return: a jump, so right recursion costs nothing."""
        self.emit(op.LOAD, self.const(data))
        self._tails.append((self.emit(op.JUMP), rule))

    def end(self) -> int:
        """Write the end of a rule."""
        return self.emit(op.END)

    def words(self, words: Sequence[bytes]) -> None:
        """Write rows that read one of these byte strings, shared prefixes once."""
        ordered = sorted(set(words))
        leaves: list[int] = []
        stack = [(0, len(ordered), 0, -1)]  # words, depth, SPLIT entry to patch
        while stack:
            low, high, depth, patch = stack.pop()
            if patch >= 0:
                self.targets[patch] = self.here
            depth = self._shared(ordered, low, high, depth)
            if high - low == 1:
                leaves.append(self.emit(op.JUMP))
                continue
            groups = _groups(ordered, low, high, depth)
            row = self.split()
            first = len(self.targets)
            self.aim(row, [-1] * len(groups))
            if len(ordered[low]) == depth:
                self.targets[first] = self.here
                leaves.append(self.emit(op.JUMP))
                first, groups = first + 1, groups[1:]
            stack += ((a, b, depth, first + i) for i, (a, b) in enumerate(groups))
        for row in leaves:
            self.aim(row, [self.here])

    def _shared(self, ordered: list[bytes], low: int, high: int, depth: int) -> int:
        first, last = ordered[low], ordered[high - 1]
        end = depth
        while end < len(first) and end < len(last) and first[end] == last[end]:
            end += 1
        self.literal(first[depth:end])
        return end

    def automaton(self, dfa: Dfa, needs: I32 | None = None, trans: I32 | None = None) -> int:
        """Write an automaton's states; reading goes on after it. Its first row.

        `needs` and `trans` make it COUNTED: the characters each state needs, edges with flags.
        """
        if dfa.is_empty:
            return self.emit(op.DEAD)
        first, states, groups = self.here, dfa.states, dfa.trans.shape[1]
        if first + states > MAX_ROWS:
            raise GrammarError(f"grammar needs more than {MAX_ROWS} instructions")
        if (self._trans_size + dfa.trans.size) * 4 > MAX_TRANS_BYTES:
            raise GrammarError(f"grammar's automata need more than {MAX_TRANS_BYTES >> 20} MiB")
        edges = dfa.trans if trans is None else trans
        self._trans.append(np.where(edges >= 0, edges + first, -1).astype(np.int32).reshape(-1))
        class_map = self._maps.setdefault(dfa.classes.tobytes(), len(self._maps))
        block = np.empty((states, 4), np.int32)
        block[:, 0] = op.DFA if needs is None else op.COUNTED
        block[:, 1] = self._trans_size + groups * np.arange(states)
        block[:, 2] = np.where(dfa.accept != 0, first + states, -1)
        block[:, 3] = class_map if needs is None else class_map | (needs << op.NEED_SHIFT)
        self._trans_size += dfa.trans.size
        self._onward.append((first, states, first + states))
        self.code += block.reshape(-1).tolist()
        return first

    def finish(self, start: int, kind: str, notes: Sequence[str] = ()) -> CompiledGrammar:
        """Patch, prune and freeze; GrammarError if the start rule matches nothing."""
        for row, rule in self._tails:
            self.code[row * 4 + 1] = self._entries[rule]
        for row, label in self._jumps:
            self.code[row * 4 + 1] = self._places[label]
        for index, label in self._forks:
            self.targets[index] = self._places[label]
        self.emit(op.DEAD)
        wanted = [(start, 0), *self._keys]
        keys = [(self._entries[rule], self.const(data)) for rule, data in self._keys]
        code = np.array(self.code, np.int32).reshape(-1, 4)
        key_table = np.array([(self._entries[wanted[0][0]], 0), *keys], np.int32)
        calls = code[:, 0] == op.CALL
        code[calls, 1] += 1
        targets = np.array(self.targets or [0], np.int32)
        self._prune(code, targets, key_table)
        if code[key_table[0, 0], 0] == op.DEAD:
            raise GrammarError(
                "nothing matches this grammar", pointer="" if kind == "json" else None
            )
        arrays = (
            code,
            targets,
            np.concatenate(self._trans or [np.zeros(1, np.int32)]),
            _table(self._maps),
            _table(self._sets),
            np.array(list(self._consts), np.int64),
            key_table,
        )
        return CompiledGrammar(arrays, kind, tuple(notes))

    def _prune(self, code: I32, targets: I32, keys: I32) -> None:
        onward = np.full(len(code), -1, np.int32)
        for first, rows, to in self._onward:
            onward[first : first + rows] = to
        live = np.zeros(len(code), np.uint8)
        liveness.live_rows(code, targets, keys, onward, live)
        code[live == 0] = (op.DEAD, 0, 0, 0)


def _groups(ordered: list[bytes], low: int, high: int, depth: int) -> list[tuple[int, int]]:
    """Runs of words[low:high] that agree in the byte at `depth` (a word that ends comes first)."""
    groups = []
    start = low
    for i in range(low + 1, high + 1):
        if i == high or ordered[i][depth : depth + 1] != ordered[start][depth : depth + 1]:
            groups.append((start, i))
            start = i
    return groups


def _table(rows: dict[bytes, int]) -> U8:
    joined = b"".join(rows) or bytes(256)
    return np.frombuffer(joined, np.uint8).reshape(-1, 256).copy()
