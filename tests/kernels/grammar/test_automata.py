"""Automata kernels against brute force over all short words."""

from itertools import product as words_of

import numpy as np
import pytest

from gnomon.kernels.grammar import automata

LETTERS = b"ab"
WORDS = [bytes(w) for n in range(6) for w in words_of(LETTERS, repeat=n)]


def random_nfa(seed: int, states: int = 6) -> tuple[list, list]:
    """(byte edges (from, byte, to), empty edges) of an automaton from state 0 to the last."""
    rng = np.random.default_rng(seed)
    edges = [
        (int(rng.integers(states)), int(LETTERS[rng.integers(2)]), int(rng.integers(states)))
        for _ in range(9)
    ]
    empty = [(int(rng.integers(states)), int(rng.integers(states))) for _ in range(3)]
    return edges, empty


def nfa_accepts(edges: list, empty: list, final: int, word: bytes) -> bool:
    def close(found: set[int]) -> set[int]:
        while True:
            more = found | {to for start, to in empty if start in found}
            if more == found:
                return found
            found = more

    here = close({0})
    for byte in word:
        here = close({to for start, by, to in edges if start in here and by == byte})
    return final in here


def build(seed: int, bound: int = 256) -> tuple:
    edges, empty = random_nfa(seed)
    states = 6
    rows = np.array(sorted(edges), np.int32).reshape(-1, 3)
    lo = rows[:, 1].astype(np.uint8)
    classes = np.empty(256, np.uint8)
    groups = automata.byte_classes(lo, lo, classes)
    ends = np.arange(states + 1)
    pairs = np.array(sorted(empty), np.int32).reshape(-1, 2)
    trans = np.empty((bound, groups), np.int32)
    accept = np.zeros(bound, np.uint8)
    count = automata.determinise(
        0, states - 1,
        np.searchsorted(rows[:, 0], ends).astype(np.int32), lo, lo, rows[:, 2].copy(),
        np.searchsorted(pairs[:, 0], ends).astype(np.int32), pairs[:, 1].copy(),
        classes, groups, trans, accept, np.empty(4096, np.int32), -1, 1 << 30,
    )  # fmt: skip
    return trans[: max(count, 0)], accept[: max(count, 0)], classes, count


def accepts(trans: np.ndarray, accept: np.ndarray, classes: np.ndarray, word: bytes) -> bool:
    data = np.frombuffer(word, np.uint8)
    return bool(automata.run_bytes(trans, accept, classes, data) == 1)


@pytest.mark.parametrize("seed", range(20))
def test_determinise_keeps_the_language(seed: int) -> None:
    edges, empty = random_nfa(seed)
    trans, accept, classes, _ = build(seed)
    for word in WORDS:
        assert accepts(trans, accept, classes, word) == nfa_accepts(edges, empty, 5, word), word


def test_determinise_says_so_when_the_bound_is_too_small() -> None:
    assert build(3, bound=1)[3] == -1


@pytest.mark.parametrize("minus", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_product_is_intersection_or_difference(seed: int, minus: bool) -> None:
    a, b = build(seed), build(seed + 100)
    marks = a[2].astype(np.int32) * 256 + b[2]
    unique, classes = np.unique(marks, return_inverse=True)
    trans = np.empty((400, len(unique)), np.int32)
    accept = np.zeros(400, np.uint8)
    count = automata.product(
        a[0], a[1], (unique // 256).astype(np.int32),
        b[0], b[1], (unique % 256).astype(np.int32),
        minus, trans, accept, np.empty((400, 2), np.int32),
    )  # fmt: skip
    for word in WORDS:
        wanted = accepts(*a[:3], word) and accepts(*b[:3], word) != minus
        assert accepts(trans[:count], accept, classes.astype(np.uint8), word) == wanted, word


@pytest.mark.parametrize("seed", range(8))
def test_trim_leaves_only_states_that_reach_acceptance(seed: int) -> None:
    trans, accept, classes, _ = build(seed)
    before = [accepts(trans, accept, classes, word) for word in WORDS]
    live = np.empty(len(accept), np.uint8)
    automata.trim(trans, accept, live)
    assert [accepts(trans, accept, classes, word) for word in WORDS] == before
    targets = trans[trans >= 0]
    assert live[targets].all()


@pytest.mark.parametrize("seed", range(8))
def test_minimise_tells_states_apart_by_their_suffixes(seed: int) -> None:
    trans, accept, classes, _ = build(seed)
    live = np.empty(len(accept), np.uint8)
    automata.trim(trans, accept, live)
    block = np.empty(len(accept), np.int32)
    automata.minimise(trans, accept, block)

    def suffixes(state: int) -> tuple[bool, ...]:
        found = []
        for word in WORDS:
            here = state
            for byte in word:
                here = trans[here, classes[byte]] if here >= 0 else -1
            found.append(here >= 0 and bool(accept[here]))
        return tuple(found)

    for s in range(len(accept)):
        for t in range(s):
            assert (block[s] == block[t]) == (suffixes(s) == suffixes(t)), (s, t)


def test_exclude_words_takes_out_exactly_these() -> None:
    base = np.array([[0, 1], [-1, -1]], np.int32)  # a* then b
    base_classes = np.full(256, 0, np.uint8)
    base_classes[ord("b")] = 1
    text = np.frombuffer(b"aabab", np.uint8)
    trans = np.empty((16, 2), np.int32)
    state_of = np.empty(16, np.int32)
    count = automata.exclude_words(
        text, np.array([3, 5]), base, base_classes, base_classes, trans, state_of
    )
    accept = np.array([0, 1], np.uint8)[state_of[:count]]
    root = 2

    def taken(word: bytes) -> bool:
        here = root
        for byte in word:
            here = trans[here, base_classes[byte]] if here >= 0 else -1
        return here >= 0 and bool(accept[here])

    assert [taken(w) for w in (b"b", b"ab", b"aab", b"aaab", b"a")] == [
        True, False, False, True, False,
    ]  # fmt: skip
