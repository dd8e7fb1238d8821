"""Rows that a token and those before it pick from the table of n-grams."""

from __future__ import annotations

import numpy as np

from gnomon.engine.blocks.ngrams import HALF, Ngrams

SPEC = Ngrams(
    multipliers=(3, 5, (1 << 63) + 7),
    per_length=2,
    sizes=(101, 103, 107, 3_000_017),
    offsets=(0, 101, 204, 1 << 24),
    end=2,
    taps=4,
    dim=8,
    streams=2,
    embedding=6,
)


def rows_of(tokens: list[int]) -> list[list[int]]:
    past, found = np.zeros(2), []
    for token in tokens:
        parts, past = SPEC.hash(past, np.array([float(token)]))
        found.append((parts[:4] * HALF + parts[4:]).astype(np.int64).tolist())
    return found


def expected(window: list[int]) -> list[int]:
    """By the formula, in 64 bits; `window` is the token and the two before it."""
    pair = window[0] * 3 ^ window[1] * 5
    triple = (pair ^ window[2] * ((1 << 63) + 7)) % (1 << 64)
    return [pair % 101, pair % 103 + 101, triple % 107 + 204, triple % 3_000_017 + (1 << 24)]


def test_a_token_and_the_two_before_it_pick_rows() -> None:
    assert rows_of([11, 12, 13])[2] == expected([13, 12, 11])


def test_what_lies_before_the_start_reads_as_the_end_token() -> None:
    assert rows_of([11])[0] == expected([11, 2, 2])


def test_an_end_token_hides_what_stands_before_it() -> None:
    assert rows_of([11, 2, 13])[2] == expected([13, 2, 2])


def test_an_end_token_sees_what_stands_before_itself() -> None:
    assert rows_of([11, 12, 2])[2] == expected([2, 12, 11])


def test_the_table_must_hold_every_row() -> None:
    assert SPEC.table_rows == (1 << 24) + 3_000_017
