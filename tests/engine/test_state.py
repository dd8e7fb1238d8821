"""Recurrent state of a sequence: checkpoints, rewinding to them, forks, and their bound."""

from __future__ import annotations

from itertools import pairwise

from gnomon.engine.state import KEEP_MOST, StatePool, States


def feed(states: States, *positions: int) -> None:
    for position in positions:
        states.begin()
        states.commit(position)


def test_a_new_sequence_reads_zeros() -> None:
    pool = StatePool(64)
    source, target = States(pool).begin()
    assert source == pool.zero.ctypes.data
    assert source != target


def test_a_step_reads_what_the_last_one_wrote() -> None:
    states = States(StatePool(64))
    _, written = states.begin()
    states.commit(5)
    assert states.begin()[0] == written


def test_a_step_that_fails_leaves_the_state() -> None:
    states = States(StatePool(64))
    feed(states, 3)
    first = states.begin()
    assert states.begin() == first


def test_truncate_goes_back_to_the_checkpoint_before() -> None:
    states = States(StatePool(64))
    feed(states, 4, 9, 12)
    assert states.truncate(11) == 9
    assert states.truncate(9) == 9
    assert states.truncate(3) == 0


def test_forks_share_blocks_until_all_let_go() -> None:
    pool = StatePool(64)
    states = States(pool)
    feed(states, 1, 2)
    twin = states.fork()
    states.release()
    assert pool.in_use == 2
    assert twin.truncate(2) == 2
    twin.release()
    assert pool.in_use == 0


def test_a_fork_goes_its_own_way() -> None:
    states = States(StatePool(64))
    feed(states, 1)
    twin = states.fork()
    feed(twin, 2)
    assert [position for position, _ in states.kept] == [1]
    assert states.begin()[1] != twin.begin()[1]


def test_the_number_of_checkpoints_is_bounded_and_the_last_are_dense() -> None:
    pool = StatePool(64)
    states = States(pool)
    feed(states, *range(1, 3001))
    places = [position for position, _ in states.kept]
    assert len(places) <= KEEP_MOST
    assert pool.in_use == len(places)
    assert places[-3:] == [2998, 2999, 3000]


def test_the_way_back_is_short_compared_with_how_far_one_goes() -> None:
    states = States(StatePool(64))
    feed(states, *range(1, 3001))
    places = [0, *[position for position, _ in states.kept]]
    gaps = [(b - a) / (3000 - a) for a, b in pairwise(places)]
    assert max(gaps[:-1]) < 0.75


def test_few_large_blocks_are_kept() -> None:
    pool = StatePool(64)
    pool.page_bytes = 1 << 40
    states = States(pool)
    pool.page_bytes = 64
    feed(states, *range(1, 50))
    assert [position for position, _ in states.kept][1:] == [49]
