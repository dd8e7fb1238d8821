"""A vocabulary as tries: the whole one, and one per slice of what is left when a slice is allowed.

A slice is a regular set of tokens common grammars allow as a whole (string bodies, identifiers,
digits). If the grammar takes every string of the slice from where it stands, the mask is the
slice's ready bits or-ed with a walk over the few tokens outside the slice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...kernels.grammar import trie as kernels
from .dfa import I32, U8, Dfa
from .language import text_language

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_BODY = r'[^"\\\x00-\x1f\x7f]'
SLICES = (  # (pattern, longest in characters); wider first
    (f"{_BODY}+", 4096),
    (f"{_BODY}{{1,30}}", 30),
    (f"{_BODY}{{1,10}}", 10),
    (r"[ -!#-\[\]-~]+", 4096),
    (r"[ 0-9A-Za-z_\-.]+", 4096),
    (r"[0-9A-Za-z_\-]+", 4096),
    (r"[0-9A-Za-z_\-]{1,10}", 10),
    (r"[0-9A-Za-z]+", 4096),
    (r"[A-Za-z]+", 4096),
    (r"[a-z]+", 4096),
)


@dataclass(frozen=True, eq=False)
class Slice:
    """Tokens a regular set holds: their bits, the trie of all others, the set's automaton."""

    mask: U32
    rest: U64
    language: Dfa
    longest: int
    tokens: int


@dataclass(frozen=True, eq=False)
class TokenTrie:
    """The bytes of every token id, sorted into a trie; `eog` ends a text, b"" is never text."""

    nodes: U64
    n_vocab: int
    eog: tuple[int, ...]
    twins: I32  # i4[n, 2]: a token and the first one of the same bytes
    text: U8
    starts: I64
    order: I64

    @staticmethod
    def build(token_bytes: Sequence[bytes], eog: Iterable[int]) -> "TokenTrie":
        """Sort the vocabulary; ValueError names a token or size beyond the limits."""
        if len(token_bytes) >= kernels.NO_TOKEN:
            raise ValueError(f"vocabulary of {len(token_bytes)} tokens, at most {kernels.NO_TOKEN}")
        lengths = np.array([len(text) for text in token_bytes], np.int64)
        if lengths.size and lengths.max() > kernels.MAX_DEPTH:
            token = int(lengths.argmax())
            raise ValueError(
                f"token {token} has {lengths[token]} bytes, at most {kernels.MAX_DEPTH}"
            )
        ends = tuple(sorted({int(token) for token in eog}))
        if ends and not 0 <= ends[0] <= ends[-1] < len(token_bytes):
            raise ValueError(f"end-of-generation ids {ends}, expected 0 to {len(token_bytes) - 1}")
        never = set(ends)
        ids = [i for i, text in enumerate(token_bytes) if text and i not in never]
        order = np.array(sorted(ids, key=token_bytes.__getitem__), np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        text = np.frombuffer(b"".join(token_bytes) or b"\0", np.uint8)
        same = np.full(len(token_bytes), -1, np.int32)
        nodes = _trie(text, starts, order, same)
        order = order[same[order] < 0]
        twins = np.flatnonzero(same >= 0)
        pairs = np.stack([twins, same[twins]], axis=1).astype(np.int32)
        return TokenTrie(nodes, len(token_bytes), ends, pairs, text, starts, order)

    def bytes_of(self, token: int) -> U8:
        """The token's bytes."""
        return self.text[self.starts[token] : self.starts[token + 1]]

    def is_blank_first(self, token: int) -> bool:
        """Whether the token begins with white space."""
        return bool(self.blank_first[token >> 5] >> (token & 31) & 1)

    @cached_property
    def blank_first(self) -> U32:
        """The bits of all tokens that begin with white space."""
        starts = self.starts[:-1]
        first = self.text[np.minimum(starts, len(self.text) - 1)]
        blank = np.isin(first, np.frombuffer(b" \t\n\r", np.uint8)) & (np.diff(self.starts) > 0)
        return pack_bits(blank.astype(np.uint8))

    @property
    def words(self) -> int:
        """u4 words of a mask."""
        return (self.n_vocab + 31) // 32

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """The slices of this vocabulary, most tokens first; built on first use."""
        found = [self._slice(text_language(pattern), longest) for pattern, longest in SLICES]
        return tuple(sorted(found, key=lambda piece: -piece.tokens))

    def within(self, number: int, longest: int) -> U32:
        """The bits of a slice's tokens of at most `longest` characters; not to be written to."""
        piece = self.slices[number]
        if longest >= min(piece.longest, int(self.characters.max(initial=0))):
            return piece.mask
        if (number, longest) not in self._short:
            short = pack_bits((self.characters <= longest).astype(np.uint8))
            self._short[number, longest] = piece.mask & short
        return self._short[number, longest]

    @cached_property
    def characters(self) -> I64:
        """Of each token, how many bytes do not continue a character."""
        begins = np.concatenate([np.zeros(1, np.int64), np.cumsum((self.text & 0xC0) != 0x80)])
        counts: I64 = begins[self.starts[1:]] - begins[self.starts[:-1]]
        return counts

    @cached_property
    def _short(self) -> dict[tuple[int, int], U32]:
        return {}

    def _slice(self, language: Dfa, longest: int) -> Slice:
        accept = language.accept.astype(np.int32)[:, None]
        trans = np.ascontiguousarray(np.concatenate([language.trans, accept], axis=1))
        chosen = np.zeros(max(self.n_vocab, 1), np.uint8)
        kernels.select_tokens(trans, language.classes, self.nodes, chosen, longest)
        mask = pack_bits(chosen[: self.n_vocab])
        rest = _trie(
            self.text, self.starts, self.order[chosen[self.order] == 0],
            np.full(self.n_vocab, -1, np.int32),
        )  # fmt: skip
        return Slice(mask, rest, language, longest, int(chosen.sum()))


def pack_bits(chosen: U8) -> U32:
    """u4 words whose bit i is chosen[i]."""
    mask = np.zeros((len(chosen) + 31) // 32, np.uint32)
    bits = np.packbits(chosen, bitorder="little")
    mask.view(np.uint8)[: len(bits)] = bits
    return mask


def _trie(text: U8, starts: I64, order: I64, same: I32) -> U64:
    lengths = starts[order + 1] - starts[order] if len(order) else np.zeros(0, np.int64)
    nodes = np.zeros(int(lengths.sum()), np.uint64)
    count = kernels.build_trie(text, starts, order, nodes, same)
    return nodes[:count].copy()
