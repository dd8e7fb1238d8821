"""Deterministic byte automata as values: build from an NFA, combine, ask.

State 0 starts, -1 is dead, and every state can reach an accepting one (a language without words is
one rejecting state). Combining costs time in the product of the sizes and is bounded by MAX_DFA.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...kernels.grammar import automata
from .errors import MAX_DFA, MAX_NFA, GrammarError, spend

I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
MAX_MINIMISED = 4096  # states
MAX_VISITS = 40_000_000  # NFA states looked at while determinising


@dataclass(frozen=True, eq=False)
class Dfa:
    """trans i4[states, groups], accept u1[states], classes u1[256] (byte -> group)."""

    trans: I32
    accept: U8
    classes: U8

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.accept)

    @cached_property
    def is_empty(self) -> bool:
        """Whether no word is accepted."""
        return not self.accept.any()

    def matches(self, data: bytes) -> bool:
        """Whether the automaton accepts the bytes."""
        text = np.frombuffer(data, np.uint8)
        return bool(automata.run_bytes(self.trans, self.accept, self.classes, text) == 1)

    def __and__(self, other: "Dfa") -> "Dfa":
        return _combine(self, other, minus=False)

    def __sub__(self, other: "Dfa") -> "Dfa":
        return _combine(self, other, minus=True)

    def __or__(self, other: "Dfa") -> "Dfa":
        return EVERYTHING - ((EVERYTHING - self) - other)

    @cached_property
    def words(self) -> int | None:
        """How many words are accepted, or None for infinitely many (or more than 2^40)."""
        return _count_words(self)


def _count_words(dfa: Dfa) -> int | None:
    groups = np.bincount(dfa.classes, minlength=dfa.trans.shape[1])
    known: dict[int, int] = {}
    stack = [(0, False)]
    open_states: set[int] = set()
    while stack:
        state, done = stack.pop()
        targets = [
            (int(t), int(g)) for t, g in zip(dfa.trans[state], groups, strict=True) if t >= 0
        ]
        if done:
            known[state] = int(dfa.accept[state]) + sum(known[t] * g for t, g in targets)
            open_states.discard(state)
            if known[state] > 1 << 40:
                return None
            continue
        if state in known:
            continue
        if state in open_states:
            return None
        open_states.add(state)
        stack.append((state, True))
        for t, _ in targets:
            if t in open_states:
                return None
            stack.append((t, False))
    return known[0]


def _joint_classes(a: U8, b: U8) -> tuple[U8, I32, I32]:
    pairs = a.astype(np.int32) * 256 + b
    unique, classes = np.unique(pairs, return_inverse=True)
    return (
        classes.astype(np.uint8),
        (unique // 256).astype(np.int32),
        (unique % 256).astype(np.int32),
    )


def _combine(a: Dfa, b: Dfa, *, minus: bool) -> Dfa:
    classes, pair_a, pair_b = _joint_classes(a.classes, b.classes)
    bound = min(256, MAX_DFA)
    while True:
        trans = np.empty((bound, len(pair_a)), np.int32)
        accept = np.zeros(bound, np.uint8)
        origin = np.empty((bound, 2), np.int32)
        states = automata.product(
            a.trans, a.accept, pair_a, b.trans, b.accept, pair_b, minus, trans, accept, origin
        )
        if states >= 0:
            return tidy(trans[:states].copy(), accept[:states].copy(), classes)
        if bound == MAX_DFA:
            raise GrammarError(f"combined patterns need more than {MAX_DFA} automaton states")
        bound = min(bound * 8, MAX_DFA)


def tidy(trans: I32, accept: U8, classes: U8) -> Dfa:
    """Cut dead ends and merge equal states and byte classes."""
    spend(500 + trans.size // (1 if len(accept) <= MAX_MINIMISED else 10))
    live = np.empty(len(accept), np.uint8)
    automata.trim(trans, accept, live)
    if not live[0]:
        return NOTHING
    if len(accept) <= MAX_MINIMISED:
        block = np.empty(len(accept), np.int32)
        blocks = automata.minimise(trans, accept, block)
        trans, accept = _merge(trans, accept, block, blocks, live)
    else:
        trans, accept = _merge(trans, accept, np.arange(len(accept), dtype=np.int32), 0, live)
    columns, fold = np.unique(trans, axis=1, return_inverse=True)
    return Dfa(np.ascontiguousarray(columns), accept, fold.reshape(-1)[classes].astype(np.uint8))


def _merge(trans: I32, accept: U8, block: I32, blocks: int, live: U8) -> tuple[I32, U8]:
    """Keep one live state a block, the start's first."""
    names = np.full(max(blocks, len(block)), -1, np.int32)
    keep: list[int] = []
    for state in np.flatnonzero(live):
        if names[block[state]] < 0:
            names[block[state]] = len(keep)
            keep.append(int(state))
    kept = trans[keep]
    return np.where(kept >= 0, names[block[kept]], -1).astype(np.int32), accept[keep]


NOTHING = Dfa(np.full((1, 1), -1, np.int32), np.zeros(1, np.uint8), np.zeros(256, np.uint8))
EVERYTHING = Dfa(np.zeros((1, 1), np.int32), np.ones(1, np.uint8), np.zeros(256, np.uint8))


class Nfa:
    """States, byte-range edges and empty edges under construction."""

    def __init__(self) -> None:
        self.states = 0
        self.edges: list[tuple[int, int, int, int]] = []  # from, low, high, to
        self.empty: list[tuple[int, int]] = []

    def state(self) -> int:
        """Add a state."""
        self.states += 1
        spend(3)
        if self.states > MAX_NFA:
            raise GrammarError(f"pattern needs more than {MAX_NFA} states")
        return self.states - 1

    def edge(self, start: int, low: int, high: int, to: int) -> None:
        """Go from start to `to` on a byte low..high."""
        self.edges.append((start, low, high, to))

    def link(self, start: int, to: int) -> None:
        """Go from start to `to` on nothing."""
        self.empty.append((start, to))

    def dfa(self, start: int, final: int, top: int = -1) -> Dfa:
        """The automaton of all byte strings that lead from start to final.

        `top` is a state from which everything is accepted that any state met along with it accepts.
        """
        edges = np.array(self.edges or [(0, 0, 0, 0)], np.int32)[: len(self.edges)]
        edges = edges.reshape(-1, 4)
        edges = edges[np.argsort(edges[:, 0], kind="stable")]
        empty = np.array(self.empty, np.int32).reshape(-1, 2)
        empty = empty[np.argsort(empty[:, 0], kind="stable")]
        low, high = (np.ascontiguousarray(edges[:, k].astype(np.uint8)) for k in (1, 2))
        classes = np.empty(256, np.uint8)
        groups = automata.byte_classes(low, high, classes)
        ends = np.arange(self.states + 1)
        edge_start = np.searchsorted(edges[:, 0], ends).astype(np.int32)
        eps_start = np.searchsorted(empty[:, 0], ends).astype(np.int32)
        to, eps_to = (np.ascontiguousarray(x) for x in (edges[:, 3], empty[:, 1]))
        bound = min(512, MAX_DFA)
        while True:
            trans = np.empty((bound, groups), np.int32)
            accept = np.zeros(bound, np.uint8)
            pool = np.empty(min(bound * 64 + self.states, 16_000_000), np.int32)
            states = automata.determinise(
                start, final, edge_start, low, high, to, eps_start, eps_to,
                classes, groups, trans, accept, pool, top, MAX_VISITS,
            )  # fmt: skip
            spend(groups * bound // 100)
            if states == automata.TOO_MUCH:
                raise GrammarError("pattern takes too much work to make deterministic")
            if states >= 0:
                return tidy(trans[:states].copy(), accept[:states].copy(), classes)
            if bound == MAX_DFA:
                raise GrammarError(f"pattern needs more than {MAX_DFA} automaton states")
            bound = min(bound * 8, MAX_DFA)
