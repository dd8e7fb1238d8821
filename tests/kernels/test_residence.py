"""Which matrices stay in the last cache: half of it is filled, the first come first."""

import pytest

from gnomon.kernels.residence import Residence, last_cache_bytes


def caches(folder, **sizes):
    for name, size in sizes.items():
        (folder / name).mkdir()
        (folder / name / "size").write_text(size + "\n")
    return folder


def test_last_cache_is_the_largest_that_the_system_tells_of(tmp_path):
    assert (
        last_cache_bytes(caches(tmp_path, index0="48K", index2="1024K", index3="32M")) == 32 << 20
    )


def test_no_cache_told_of_is_none(tmp_path):
    assert last_cache_bytes(tmp_path) == 0


@pytest.mark.parametrize("size", ["", "K", "many", "-1K"])
def test_size_that_is_no_size_counts_as_none(tmp_path, size):
    assert last_cache_bytes(caches(tmp_path, index3=size)) == 0


def test_first_matrices_fill_half_of_the_cache():
    room = Residence(model_bytes=1000, cache_bytes=200, apart=True)
    assert [room.stays(size) for size in (60, 50, 40, 1)] == [True, False, True, False]


def test_model_that_fits_stays_whole():
    room = Residence(model_bytes=150, cache_bytes=200, apart=True)
    assert all(room.stays(75) for _ in range(2))


def test_everything_stays_where_the_cache_is_not_known():
    assert Residence(model_bytes=1 << 40, cache_bytes=0, apart=True).stays(1 << 40)


def test_everything_stays_where_it_is_not_asked_for_otherwise():
    assert Residence(model_bytes=1 << 40, cache_bytes=200, apart=False).stays(1 << 40)
