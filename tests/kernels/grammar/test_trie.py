"""The trie walk against one parse per token."""

import numpy as np
import pytest

from gnomon.kernels.grammar import columns, parser, trie
from gnomon.kernels.grammar import opcodes as op

VOCABULARY = [b"a", b"b", b"ab", b"aba", b"", b"ba", b"abab", b"a", b"\xff", b"bbbb", b"aa"]


def pack(vocabulary: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(nodes, text, starts, twins) of a vocabulary."""
    starts = np.concatenate([[0], np.cumsum([len(t) for t in vocabulary])]).astype(np.int64)
    text = np.frombuffer(b"".join(vocabulary), np.uint8)
    order = np.array(sorted((i for i, t in enumerate(vocabulary) if t), key=vocabulary.__getitem__))
    same = np.full(len(vocabulary), -1, np.int32)
    nodes = np.zeros(len(text), np.uint64)
    count = trie.build_trie(text, starts, order, nodes, same)
    return nodes[:count].copy(), text, starts, same


def program_and_store() -> tuple[tuple, tuple]:
    """S = 'a' S 'b' | 'b' | an automaton of one or more a."""
    code = [
        (op.SPLIT, 0, 3, 0),
        (op.BYTE, 97, 0, 0), (op.CALL, 0, 0, 0), (op.BYTE, 98, 0, 0), (op.END, 0, 0, 0),
        (op.BYTE, 98, 0, 0), (op.END, 0, 0, 0),
        (op.DFA, 0, -1, 0), (op.DFA, 2, 9, 0), (op.END, 0, 0, 0),
    ]  # fmt: skip
    maps = np.zeros((1, 256), np.uint8)
    maps[0, 97] = 1
    program = (
        np.array(code, np.int32), np.array([1, 5, 7], np.int32),
        np.array([-1, 8, -1, 8], np.int32), maps, np.zeros((1, 256), np.uint8),
        np.zeros(1, np.int64), np.array([(0, 0)], np.int32),
    )  # fmt: skip
    store = (
        np.zeros(8, np.int64), np.zeros((256, 8), np.int32), np.zeros((4096, 2), np.int64),
        np.zeros((4096, 3), np.int32), np.zeros(len(code), np.int32), np.full(1024, -1, np.int32),
    )  # fmt: skip
    return program, store


def bits(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


@pytest.mark.parametrize("prefix", ["", "a", "aa", "aab", "b", "ab"])
def test_walk_allows_the_tokens_that_parse(prefix: str) -> None:
    nodes, _, _, same = pack(VOCABULARY)
    program, store = program_and_store()
    column = columns.begin(program, store)
    column, _ = columns.accept_bytes(
        program, store, column, np.frombuffer(prefix.encode(), np.uint8)
    )
    wanted = []
    for token, text in enumerate(VOCABULARY):
        data = np.frombuffer(text, np.uint8)
        if text and same[token] < 0 and columns.accept_bytes(program, store, column, data)[0] >= 0:
            wanted.append(token)
    mask = np.zeros(1, np.uint32)
    in_use = store[0][parser.COLUMNS]
    assert trie.walk(program, store, column, nodes, mask, trie.walk_space()) >= 0
    assert bits(mask) == wanted
    assert store[0][parser.COLUMNS] == in_use


def test_tokens_of_equal_bytes_get_their_twins_bit() -> None:
    same = pack(VOCABULARY)[3]
    assert same.tolist() == [-1, -1, -1, -1, -1, -1, -1, 0, -1, -1, -1]
    mask = np.array([1], np.uint32)
    trie.copy_bits(np.array([(7, 0)], np.int32), mask)
    assert bits(mask) == [0, 7]


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 70])
def test_forbid_sets_exactly_the_other_logits(n: int) -> None:
    rng = np.random.default_rng(n)
    allowed = rng.random(n) < 0.5
    mask = np.zeros((n + 31) // 32, np.uint32)
    mask.view(np.uint8)[: (n + 7) // 8] = np.packbits(allowed, bitorder="little")
    logits = rng.normal(size=n).astype(np.float32)
    wanted = np.where(allowed, logits, -np.inf)
    trie.forbid(mask, logits)
    assert np.array_equal(logits, wanted)


@pytest.mark.parametrize(
    ("text", "token", "length", "more"),
    [(b"abx", 2, 2, False), (b"aba", 3, 3, True), (b"bb", 1, 1, True), (b"x", -1, 0, False)],
)
def test_longest_token_and_whether_one_goes_on(
    text: bytes, token: int, length: int, more: bool
) -> None:
    nodes = pack(VOCABULARY)[0]
    found = trie.longest_token(nodes, np.frombuffer(text, np.uint8), 0)
    assert tuple(found)[:2] == (token, length)
    assert bool(found[2]) == more


def test_select_tokens_keeps_whole_words_of_a_length() -> None:
    nodes = pack(VOCABULARY)[0]
    trans = np.array([[-1, 1, 0], [-1, 1, 1]], np.int32)  # a+; the last column: accepting
    classes = np.zeros(256, np.uint8)
    classes[97] = 1
    chosen = np.zeros(len(VOCABULARY), np.uint8)
    trie.select_tokens(trans, classes, nodes, chosen, 1)
    assert np.flatnonzero(chosen).tolist() == [0]
    trie.select_tokens(trans, classes, nodes, chosen, 9)
    assert np.flatnonzero(chosen).tolist() == [0, 10]


@pytest.mark.parametrize(("row", "need"), [(7, 0), (8, 0), (1, -1)])
def test_slice_need_asks_for_an_automaton_that_takes_the_slice(row: int, need: int) -> None:
    program, _ = program_and_store()
    trans = np.array([[-1, 0]], np.int32)
    classes = np.zeros(256, np.uint8)
    classes[97] = 1
    pairs, table = np.empty((16, 2), np.int32), np.empty(64, np.int32)
    assert trie.slice_need(program, row, trans, classes, pairs, table) == need


def test_token_terminals_are_allowed_by_id() -> None:
    code = np.array([(op.TOKEN, 4, 0, 0), (op.END, 0, 0, 0)], np.int32)
    program, store = program_and_store()
    program = (code, *program[1:])
    store = (*store[:4], np.zeros(2, np.int32), store[5])
    column = columns.begin(program, store)
    mask = np.zeros(1, np.uint32)
    trie.allow_token_terminals(program, store, column, 11, mask)
    assert bits(mask) == [4]
    data = np.zeros(0, np.uint8)
    assert columns.accept_token(program, store, column, 4, data) >= 0
    assert columns.accept_token(program, store, column, 5, data) == parser.DEAD_END
