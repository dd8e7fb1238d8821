"""The Earley kernels against the languages of small random grammars, enumerated by brute force."""

from itertools import product

import numpy as np
import pytest

from gnomon.kernels.grammar import columns, parser
from gnomon.kernels.grammar import opcodes as op

LONGEST = 5
WORDS = ["".join(w) for n in range(LONGEST + 1) for w in product("ab", repeat=n)]
Grammar = list[list[str]]  # per rule, its alternatives: a, b, or a rule's digit


def program_of(rules: Grammar) -> tuple:
    """Rows for each rule: SPLIT to its alternatives, each ending in END."""
    code: list[tuple[int, int, int, int]] = []
    targets: list[int] = []
    entries = []
    for alternatives in rules:
        entries.append(len(code))
        split = len(code)
        code.append((op.SPLIT, len(targets), len(alternatives), 0))
        starts = []
        for alternative in alternatives:
            starts.append(len(code))
            for symbol in alternative:
                code.append(
                    (op.CALL, int(symbol) + 1, 0, 0)
                    if symbol.isdigit()
                    else (op.BYTE, ord(symbol), 0, 0)
                )
            code.append((op.END, 0, 0, 0))
        assert code[split][1] == len(targets)
        targets += starts
    keys = [(entries[0], 0)] + [(entry, 0) for entry in entries]
    return (
        np.array(code, np.int32), np.array(targets, np.int32), np.zeros(1, np.int32),
        np.zeros((1, 256), np.uint8), np.zeros((1, 256), np.uint8), np.zeros(1, np.int64),
        np.array(keys, np.int32),
    )  # fmt: skip


def store_for(program: tuple, columns: int = 512, items: int = 8192) -> tuple:
    return (
        np.zeros(8, np.int64), np.zeros((columns, 8), np.int32), np.zeros((items, 2), np.int64),
        np.zeros((items, 3), np.int32), np.zeros(len(program[0]), np.int32),
        np.full(4 * columns, -1, np.int32),
    )  # fmt: skip


def language_of(rules: Grammar) -> set[str]:
    """Words of at most LONGEST letters, as the least fixed point."""
    found: list[set[str]] = [set() for _ in rules]
    while True:
        more = []
        for alternatives in rules:
            words: set[str] = set()
            for alternative in alternatives:
                parts = [found[int(s)] if s.isdigit() else {s} for s in alternative]
                joined = {""}
                for part in parts:
                    joined = {x + y for x in joined for y in part if len(x + y) <= LONGEST}
                words |= joined
            more.append(words)
        if more == found:
            return found[0]
        found = more


def random_grammar(seed: int) -> Grammar:
    rng = np.random.default_rng(seed)
    symbols = "ab012ab"
    return [
        [
            "".join(symbols[i] for i in rng.integers(0, len(symbols), rng.integers(0, 4)))
            for _ in range(3)
        ]
        for _ in range(3)
    ]


def run(program: tuple, store: tuple, word: str) -> tuple[bool, bool]:
    """(alive, may end) after a word."""
    column = columns.begin(program, store)
    if column < 0:
        return False, False
    column, _ = columns.accept_bytes(program, store, column, np.frombuffer(word.encode(), np.uint8))
    return column >= 0, column >= 0 and bool(store[1][column, 4])


@pytest.mark.parametrize("seed", range(60))
def test_accepts_exactly_the_words_of_a_random_grammar(seed: int) -> None:
    rules = random_grammar(seed)
    program = program_of(rules)
    store = store_for(program)
    language = language_of(rules)
    for word in WORDS:
        assert run(program, store, word)[1] == (word in language), (rules, word)


@pytest.mark.parametrize("seed", range(60))
def test_a_prefix_of_a_word_is_alive(seed: int) -> None:
    rules = random_grammar(seed)
    program = program_of(rules)
    store = store_for(program)
    for word in language_of(rules):
        for end in range(len(word) + 1):
            assert run(program, store, word[:end])[0], (rules, word[:end])


def test_left_recursion_is_parsed() -> None:
    program = program_of([["0a", "b"]])
    store = store_for(program)
    assert run(program, store, "b" + "a" * 50) == (True, True)
    assert run(program, store, "a") == (False, False)


def test_equal_columns_share_a_number() -> None:
    program = program_of([["0a", "b"]])
    store = store_for(program)
    column = columns.begin(program, store)
    seen = []
    for letter in "baaaa":
        column = columns.accept_byte(program, store, column, ord(letter))
        seen.append(column)
    assert seen[1] == seen[2] == seen[4]


def test_a_store_that_is_too_small_is_reported_and_left_usable() -> None:
    program = program_of([["a0b", ""]])
    store = store_for(program, columns=6, items=40)
    column = columns.begin(program, store)
    for _ in range(10):
        after = columns.accept_byte(program, store, column, ord("a"))
        if after < 0:
            break
        column = after
    assert after == parser.NO_ROOM
    assert run(program, store, "ab") == (True, True)


def test_next_bytes_are_those_a_step_survives() -> None:
    program = program_of([["a1", "b"], ["b", "a0"]])
    store = store_for(program)
    column = columns.begin(program, store)
    out = np.zeros(256, np.uint8)
    assert columns.next_bytes(program, store, column, out) == 2
    assert np.flatnonzero(out).tolist() == [ord("a"), ord("b")]


@pytest.mark.parametrize(
    ("rows", "data", "alive"),
    [
        ([(op.AT_MOST, 2)], 2 * op.COUNT_UNIT, True),
        ([(op.AT_MOST, 2)], 3 * op.COUNT_UNIT, False),
        ([(op.AT_LEAST, 2)], op.COUNT_UNIT, False),
        ([(op.COUNT, 0), (op.AT_LEAST, 2)], op.COUNT_UNIT, True),
        ([(op.ONCE, 3)], 1 << 3, False),
        ([(op.ONCE, 3), (op.ONCE, 3)], 0, False),
        ([(op.FLAG, 3), (op.FLAG, 3)], 0, True),
        ([(op.ALL_SET, 1)], 0b101, True),
        ([(op.ALL_SET, 1)], 0b100, False),
        ([(op.SOME_UNSET, 1)], 0b101, False),
        ([(op.SOME_UNSET, 1)], 0b001, True),
    ],
)
def test_guards_and_actions(rows: list, data: int, alive: bool) -> None:
    code = [(*row, 0, 0) for row in rows] + [(op.BYTE, 97, 0, 0), (op.END, 0, 0, 0)]
    program = (
        np.array(code, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32),
        np.zeros((1, 256), np.uint8), np.zeros((1, 256), np.uint8),
        np.array([data, 0b101], np.int64), np.array([(0, 0)], np.int32),
    )  # fmt: skip
    assert (columns.begin(program, store_for(program)) == 0) == alive
