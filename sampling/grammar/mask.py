"""The mask a grammar puts on a vocabulary, token by token, with rewind.

The parser's state is one column number, so a history is a list of numbers: rewinding is cutting it.
Masks are kept per column (a few hundred); text that brings the parser back to an equal state, as
inside strings and lists, finds its mask ready. JSON grammars take any run of white space; here a
run that has passed MAX_BLANKS bytes may not grow, so that no model can pad for ever.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...kernels.grammar import columns as columns_of
from ...kernels.grammar import opcodes as op
from ...kernels.grammar import parser
from ...kernels.grammar import trie as kernels
from .errors import GrammarError
from .program import CompiledGrammar
from .vocabulary import U32, TokenTrie

F32 = NDArray[np.float32]
Store = tuple[NDArray[np.int64], ...]

TOKEN_OPS = (op.TOKEN, op.OTHER_TOKEN)
KEPT_MASK_BYTES = 8 << 20
MAX_ITEMS = 1 << 21
MAX_BLANKS = 80  # bytes of white space between two JSON tokens before no more is allowed
MAX_FORCED = 512  # bytes looked ahead
SLICED_ITEMS = 8  # automata of a column that slices are tried on
PAIRS = 4096


def _new_store(columns: int, items: int, rows: int) -> Store:
    table = np.full(4 * columns, -1, np.int32)
    return (  # type: ignore[return-value]
        np.zeros(8, np.int64),
        np.zeros((columns, 8), np.int32),
        np.zeros((items, 2), np.int64),
        np.zeros((items, 3), np.int32),
        np.zeros(rows, np.int32),
        table,
    )


@dataclass(frozen=True)
class Snapshot:
    """A place to come back to: how many tokens had been accepted, and where that led."""

    tokens: tuple[int, ...]
    columns: tuple[int, ...]
    blanks: tuple[int, ...]
    size: tuple[int, int]


class GrammarMask:
    """Which tokens may come next. One object per running text; not for several threads at once.

    `encode` (text -> ids, no special tokens) makes forced tokens the tokenizer's own choice.
    """

    def __init__(
        self,
        compiled: CompiledGrammar,
        trie: TokenTrie,
        *,
        encode: Callable[[str], Sequence[int]] | None = None,
    ) -> None:
        self.compiled = compiled
        self.trie = trie
        self._encode = encode
        self._program = compiled.arrays
        self._names_tokens = bool(np.isin(self._program[0][:, 0], TOKEN_OPS).any())
        self._eog = frozenset(trie.eog)
        self._tokens: list[int] = []
        self._masks: OrderedDict[int, U32] = OrderedDict()
        self._kept = max(16, KEPT_MASK_BYTES // max(4 * trie.words, 1))
        self._needs: dict[int, list[int]] = {}  # of each automaton row: slice by slice
        self._pairs = np.empty((PAIRS, 2), np.int32)
        self._table = np.empty(4 * PAIRS, np.int32)
        self._size = (1024, 8192)
        self._store = _new_store(*self._size, compiled.rows)
        self._work = kernels.walk_space()
        self._columns = [self._begin()]
        self._blanks = [0]  # bytes of white space at the end, behind each token

    def _begin(self) -> int:
        while True:
            column = int(columns_of.begin(self._program, self._store))
            if column != parser.NO_ROOM:
                return column
            self._enlarge()

    def _enlarge(self) -> None:
        """Start a store twice the size; GrammarError when the grammar is too ambiguous for one."""
        columns, items = self._size
        if items >= MAX_ITEMS:
            raise GrammarError(f"parsing needs more than {MAX_ITEMS} items: too ambiguous or deep")
        self._size = (columns * 2, items * 4)
        self._store = _new_store(*self._size, self.compiled.rows)
        self._masks.clear()

    def _rebuild(self) -> None:
        """Parse the accepted tokens again in a larger store."""
        self._enlarge()
        while not self._replay():
            self._enlarge()

    def _replay(self) -> bool:
        """Parse the accepted tokens from the start; False if the store is too small."""
        columns = [self._begin()]
        for token in self._tokens:
            column = columns[-1] if token in self._eog else self._advance(columns[-1], token)
            if column == parser.NO_ROOM:
                return False
            columns.append(column)
        self._columns = columns
        return True

    def _advance(self, column: int, token: int) -> int:
        data = self.trie.bytes_of(token)
        return int(columns_of.accept_token(self._program, self._store, column, token, data))

    @property
    def tokens(self) -> tuple[int, ...]:
        """The ids accepted so far."""
        return tuple(self._tokens)

    @property
    def ended(self) -> bool:
        """Whether an end-of-generation token was accepted."""
        return bool(self._tokens) and self._tokens[-1] in self._eog

    @property
    def may_end(self) -> bool:
        """Whether the text so far is a whole word of the grammar."""
        return bool(self._store[1][self._columns[-1], 4])

    def allowed(self) -> U32:
        """Bits u4[(n_vocab + 31) // 32] of the tokens that may come next; not to be written to."""
        column = self._columns[-1]
        mask = self._masks.get(column)
        if mask is None:
            mask = self._compute()
            self._masks[self._columns[-1]] = mask
            if len(self._masks) > self._kept:
                self._masks.popitem(last=False)
        else:
            self._masks.move_to_end(column)
        if self.ended:
            return self._only_ends()
        return mask & ~self.trie.blank_first if self._padded() else mask

    def _padded(self) -> bool:
        """Whether the text ends in so much white space that no more may follow."""
        if self._blanks[-1] < MAX_BLANKS or self.compiled.kind != "json":
            return False
        _, columns, items, _, _, _ = self._store
        column = self._columns[-1]
        rows = items[columns[column, 1] : columns[column, 2], 0] & 0xFFFFFFFF
        return bool((self._program[0][rows, 0] == op.SPACE).any())

    def _only_ends(self) -> U32:
        mask = np.zeros(self.trie.words, np.uint32)
        self._set_ends(mask)
        return mask

    def _set_ends(self, mask: U32) -> None:
        for token in self.trie.eog:
            mask[token >> 5] |= np.uint32(1 << (token & 31))

    def _compute(self) -> U32:
        while True:
            column = self._columns[-1]
            nodes, mask = self._slice(column)
            seen = kernels.walk(self._program, self._store, column, nodes, mask, self._work)
            if seen != parser.NO_ROOM:
                break
            self._rebuild()
        kernels.copy_bits(self.trie.twins, mask)
        if self._names_tokens:
            kernels.allow_token_terminals(
                self._program, self._store, column, self.trie.n_vocab, mask
            )
            mask &= ~self._only_ends()  # a terminal such as !<[5]> is no end
        if self.may_end:
            self._set_ends(mask)
        mask.flags.writeable = False
        return mask

    def _slice(self, column: int) -> tuple[NDArray[np.uint64], U32]:
        """The trie to walk and the bits to begin with: those of the widest slice allowed whole."""
        _, columns, items, _, _, _ = self._store
        waiting = items[columns[column, 1] : columns[column, 2]]
        rows = waiting[:, 0] & 0xFFFFFFFF
        ops = self._program[0][rows, 0]
        best: tuple[int, int] | None = None
        for i in np.flatnonzero((ops == op.DFA) | (ops == op.COUNTED))[:SLICED_ITEMS]:
            found = self._best_slice(int(rows[i]), int(waiting[i, 1]), alone=len(waiting) == 1)
            if found is not None and (best is None or found < best):
                best = found
        if best is None:
            return self.trie.nodes, np.zeros(self.trie.words, np.uint32)
        piece = self.trie.slices[best[0]]
        return piece.rest, self.trie.within(best[0], -best[1]).copy()

    def _best_slice(self, row: int, data: int, *, alone: bool) -> tuple[int, int] | None:
        """The widest slice taken whole from an automaton's row: (its number, -longest token).

        Of a string that counts, needs nothing more and is `alone` in its column, exactly the
        tokens that are short enough; beside it another item might take the longer ones.
        """
        counted = self._program[0][row, 0] == op.COUNTED
        allowed = data >> op.LENGTH_BITS if counted else op.LENGTH_MAX
        needs = self._needs.setdefault(row, [])
        for number, piece in enumerate(self.trie.slices):
            if number == len(needs):
                needs.append(self._need(row, number))
            if needs[number] < 0:
                continue
            if allowed == op.LENGTH_MAX or allowed - piece.longest >= needs[number]:
                return number, -piece.longest
            if alone and needs[number] == 0:
                return number, -allowed
        return None

    def _need(self, row: int, number: int) -> int:
        piece = self.trie.slices[number]
        if not piece.tokens:
            return -1
        language = piece.language
        need = kernels.slice_need(
            self._program, row, language.trans, language.classes, self._pairs, self._table
        )
        return int(need)

    def apply(self, logits: F32) -> None:
        """Set the logits of all forbidden tokens to -inf, in place."""
        mask = self.allowed()
        if len(logits) != self.trie.n_vocab:
            raise ValueError(f"logits of length {len(logits)}, expected {self.trie.n_vocab}")
        if not mask.any():
            raise GrammarError("no token of this vocabulary continues the text")
        kernels.forbid(mask, logits)

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""
        if not 0 <= token < self.trie.n_vocab:
            return False
        if token in self._eog:
            return self.may_end or self.ended
        if self.ended or (self.trie.is_blank_first(token) and self._padded()):
            return False
        mask = self._masks.get(self._columns[-1])
        if mask is not None:
            return bool(mask[token >> 5] >> (token & 31) & 1)
        return self._next_column(token) >= 0

    def _next_column(self, token: int) -> int:
        while True:
            column = self._advance(self._columns[-1], token)
            if column != parser.NO_ROOM:
                return column
            self._rebuild()

    def accept(self, token: int) -> None:
        """Take a token; ValueError if the grammar does not allow it."""
        if token in self._eog:
            if not (self.may_end or self.ended):
                raise ValueError(f"token {token} ends a text the grammar has not ended")
            column = self._columns[-1]
        else:
            known = 0 <= token < self.trie.n_vocab and not self.ended
            known = known and not (self.trie.is_blank_first(token) and self._padded())
            column = self._next_column(token) if known else parser.DEAD_END
            if column < 0:
                raise ValueError(f"token {token} is not allowed here")
        self._tokens.append(token)
        self._columns.append(column)
        self._blanks.append(self._blanks_after(token))

    def _blanks_after(self, token: int) -> int:
        text = self.trie.bytes_of(token).tobytes()
        rest = len(text.rstrip(b" \t\n\r"))
        return len(text) - rest if rest else self._blanks[-1] + len(text)

    def rewind(self, n_tokens: int) -> None:
        """Take back the last n tokens."""
        if not 0 <= n_tokens <= len(self._tokens):
            raise ValueError(f"cannot rewind {n_tokens} of {len(self._tokens)} tokens")
        if n_tokens:
            del self._tokens[-n_tokens:]
            del self._columns[-n_tokens:]
            del self._blanks[-n_tokens:]

    def snapshot(self) -> Snapshot:
        """The present place, for `restore` of this same mask."""
        return Snapshot(tuple(self._tokens), tuple(self._columns), tuple(self._blanks), self._size)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back (or forth) to a snapshot of this mask."""
        self._tokens = list(snapshot.tokens)
        self._columns = list(snapshot.columns)
        self._blanks = list(snapshot.blanks)
        if snapshot.size != self._size:
            self._replay()

    def reset(self) -> None:
        """Go back to the start."""
        self.rewind(len(self._tokens))

    def forced(self) -> list[int]:
        """Ids of the tokens that must come next whatever the model says; often none.

        The last token is left out if a longer one could take its place, so the text is split as
        the model would have met it.
        """
        data, closed = self._forced_bytes()
        if not data:
            return []
        view = np.frombuffer(data, np.uint8)
        wanted = self._wanted(data, view)
        tokens: list[int] = []
        rest = 0
        for token in wanted:
            piece = self.trie.bytes_of(token).tobytes()
            _, _, more = kernels.longest_token(self.trie.nodes, view, rest)
            if not piece or not data.startswith(piece, rest) or (more and not closed):
                break
            tokens.append(token)
            rest += len(piece)
        return tokens

    def _wanted(self, data: bytes, view: NDArray[np.uint8]) -> list[int]:
        """The forced bytes as tokens: the tokenizer's, or each time the longest."""
        if self._encode is not None:
            return [int(token) for token in self._encode(data.decode("utf-8", "ignore"))]
        tokens = []
        rest = 0
        while rest < len(data):
            token, length, _ = kernels.longest_token(self.trie.nodes, view, rest)
            if token < 0:
                break
            tokens.append(int(token))
            rest += int(length)
        return tokens

    def _forced_bytes(self) -> tuple[bytes, bool]:
        """The bytes that must follow, and whether nothing can follow them."""
        column = self._columns[-1]
        data = bytearray()
        choices = np.zeros(256, np.uint8)
        while len(data) < MAX_FORCED and not self.ended:
            count = columns_of.next_bytes(self._program, self._store, column, choices)
            if count != 1 or self._store[1][column, 4]:
                return bytes(data), count == 0
            byte = int(choices.argmax())
            column = int(columns_of.accept_byte(self._program, self._store, column, byte))
            if column < 0:
                break
            data.append(byte)
        return bytes(data), False
