"""Requests of a block: each of its lines goes out, whatever the number of products between them."""

from typing import Any

import pytest

from gnomon.kernels.requests import Manner, Requests
from gnomon.kernels.tiles.formats import FORMATS

LARGE = 320
Asked = list[tuple[str, int]]


class Recorder:
    """A manner whose requests are noted, by kind and address."""

    def __init__(self, nearer: bool = False, **rest: bool) -> None:
        self.asked: Asked = []
        kinds = [self._note(kind) for kind in ("kept", "once", "nearer")]
        self.manner = Manner(2000, 3000, 1000, LARGE, *kinds[: 3 if nearer else 2], **rest)

    def _note(self, kind: str) -> Any:
        return lambda address: self.asked.append((kind, address))

    def block(self, size: int, rows: int, stays: bool = True, in_order: bool = False) -> Requests:
        """Requests in this manner."""
        return Requests(size, rows, stays, in_order, self.manner)


@pytest.mark.parametrize("size", [1, 64, 65, 288, 420, 1024])
@pytest.mark.parametrize("products", [1, 8, 32, 256])
def test_every_line_is_asked_for_once(size: int, products: int) -> None:
    recorder = Recorder()
    block = recorder.block(size, rows=4)
    for product in range(products):
        block.after(product, products, [(1 << 20, 0)])
    far = [address for _, address in recorder.asked if address >= 1 << 20]
    assert far == list(range(1 << 20, (1 << 20) + size, 64))


@pytest.mark.parametrize(
    ("size", "rows", "times"), [(LARGE, 1, 1), (LARGE + 1, 1, 2), (64, 4, 2), (LARGE + 1, 8, 2)]
)
def test_large_blocks_and_several_rows_ask_twice(size: int, rows: int, times: int) -> None:
    recorder = Recorder()
    recorder.block(size, rows).after(0, 1, [(0, 0)])
    assert len(recorder.asked) == times * -(-size // 64)


def test_both_tiles_are_asked_for() -> None:
    recorder = Recorder()
    recorder.block(64, rows=1).after(0, 1, [(0, 0), (512, 0)])
    assert recorder.asked == [("kept", 0), ("kept", 512)]


@pytest.mark.parametrize(("stays", "kind"), [(True, "kept"), (False, "once")])
def test_what_stays_is_asked_for_otherwise(stays: bool, kind: str) -> None:
    recorder = Recorder()
    recorder.block(64, 1, stays).after(0, 1, [(0, 0)])
    assert recorder.asked == [(kind, 0)]


def test_the_second_request_may_be_of_another_kind() -> None:
    recorder = Recorder(nearer=True)
    recorder.block(64, rows=4).after(0, 1, [(512, 0)])
    assert recorder.asked == [("kept", 512), ("nearer", 0)]


def test_several_rows_may_ask_once() -> None:
    recorder = Recorder(rows_again=False)
    recorder.block(64, rows=4).after(0, 1, [(512, 0)])
    assert recorder.asked == [("kept", 512)]


@pytest.mark.parametrize(
    ("rows", "in_order", "asked"), [(1, True, False), (1, False, True), (2, True, True)]
)
def test_one_row_of_blocks_in_order_may_be_left_to_guesses(
    rows: int, in_order: bool, asked: bool
) -> None:
    recorder = Recorder(guesses=True)
    recorder.block(64, rows, in_order=in_order).after(0, 1, [(512, 0)])
    assert bool(recorder.asked) == asked


@pytest.mark.parametrize(("name", "in_order"), [("q4_0", True), ("q4_k", True), ("q6_k", False)])
def test_a_type_says_whether_its_blocks_lie_in_order(name: str, in_order: bool) -> None:
    form = FORMATS[name]
    assert Requests.of(form, 1, stays=False) == Requests(form.block_bytes, 1, False, in_order)


@pytest.mark.parametrize(("rows", "far"), [(1, 2000), (8, 3000)])
def test_a_whole_block_is_asked_for_ahead_of_it(rows: int, far: int) -> None:
    recorder = Recorder()
    recorder.block(LARGE + 64, rows, stays=False).whole()(1000)
    lines = range(0, LARGE + 64, 64)
    ahead = {1000 + distance + line for distance in (far, 1000) for line in lines}
    assert {address for _, address in recorder.asked} == ahead
