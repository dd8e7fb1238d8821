"""Pieces of an arena: zero, apart from each other, freed with the last of a run."""

import gc
import weakref

import pytest

from gnomon.kernels.arena import HUGE, RUN, Arena


def test_pieces_are_zero_and_of_the_size_asked_for():
    piece = Arena().take(1000)
    assert piece.shape == (1000,)
    assert not piece.any()


def test_the_first_piece_starts_a_huge_page():
    assert Arena().take(1).ctypes.data % HUGE == 0


@pytest.mark.parametrize("size", [1, 63, 64, 65, 4097])
def test_pieces_do_not_overlap_and_start_at_cache_lines(size):
    arena = Arena()
    first, second = arena.take(size), arena.take(size)
    assert second.ctypes.data - first.ctypes.data == -(-size // 64) * 64


def test_a_piece_larger_than_a_run_has_one_of_its_own():
    assert Arena().take(RUN + 1).size == RUN + 1


def test_a_run_is_given_back_when_its_pieces_are_gone():
    arena = Arena()
    piece = arena.take(RUN)
    run = weakref.ref(piece.base)
    del arena, piece
    gc.collect()
    assert run() is None
