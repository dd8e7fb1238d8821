"""Pages of a sequence: shared by forks until one writes, given back when nobody holds them."""

from __future__ import annotations

import pytest

from gnomon.engine.cache import PagePool, Sequence
from gnomon.kernels.kv_pages import PAGE


@pytest.fixture
def pool() -> PagePool:
    return PagePool(page_bytes=64)


def grown(pool: PagePool, count: int) -> Sequence:
    sequence = Sequence(pool, 10 * PAGE)
    sequence.append(count)
    sequence.commit(count)
    return sequence


def test_a_page_is_taken_when_its_first_position_is_written(pool: PagePool) -> None:
    sequence = grown(pool, PAGE)
    assert pool.in_use == 1
    sequence.append(1)
    assert pool.in_use == 2


def test_a_fork_takes_no_page(pool: PagePool) -> None:
    sequence = grown(pool, PAGE + 5)
    twin = sequence.fork()
    assert pool.in_use == 2
    assert twin.table.tolist() == sequence.table.tolist()


def test_the_first_write_after_a_fork_copies_the_last_page_alone(pool: PagePool) -> None:
    sequence = grown(pool, PAGE + 5)
    twin = sequence.fork()
    sequence._pages[1].memory[:] = 7
    twin.append(1)
    assert pool.in_use == 3
    assert twin.table[0] == sequence.table[0]
    assert twin.table[1] != sequence.table[1]
    assert (twin._pages[1].memory == 7).all()


def test_a_write_at_a_page_boundary_copies_nothing(pool: PagePool) -> None:
    twin = grown(pool, PAGE).fork()
    twin.append(1)
    assert pool.in_use == 2


def test_truncate_keeps_the_page_it_cuts(pool: PagePool) -> None:
    sequence = grown(pool, 3 * PAGE)
    sequence.truncate(PAGE + 1)
    assert (pool.in_use, sequence.length) == (2, PAGE + 1)


def test_released_pages_are_used_again(pool: PagePool) -> None:
    sequence = grown(pool, 1)
    address = sequence.table[0]
    sequence.release()
    assert pool.in_use == 0
    assert grown(pool, 1).table[0] == address
