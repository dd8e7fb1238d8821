"""Rows that cannot reach an end are found, through calls and loops."""

import numpy as np

from gnomon.kernels.grammar import opcodes as op
from gnomon.kernels.grammar.liveness import live_rows


def test_a_rule_that_only_calls_itself_is_dead() -> None:
    code = np.array(
        [
            (op.SPLIT, 0, 2, 0), (op.BYTE, 97, 0, 0), (op.END, 0, 0, 0),
            (op.CALL, 1, 0, 0), (op.END, 0, 0, 0),
            (op.BYTE, 98, 0, 0), (op.CALL, 1, 0, 0), (op.END, 0, 0, 0),
        ],
        np.int32,
    )  # fmt: skip
    live = np.zeros(8, np.uint8)
    keys = np.array([(0, 0), (5, 0)], np.int32)
    live_rows(code, np.array([1, 3], np.int32), keys, np.full(8, -1, np.int32), live)
    assert live.tolist() == [1, 1, 1, 0, 1, 0, 0, 1]


def test_an_automaton_lives_by_what_follows_it() -> None:
    code = np.array([(op.DFA, 0, 1, 0), (op.DEAD, 0, 0, 0)], np.int32)
    live = np.zeros(2, np.uint8)
    keys = np.array([(0, 0)], np.int32)
    live_rows(code, np.zeros(1, np.int32), keys, np.array([1, -1], np.int32), live)
    assert live.tolist() == [0, 0]
