"""Requests of a block: each of its lines goes out, whatever the number of products between them."""

from typing import Any

import pytest

from gnomon.kernels import requests
from gnomon.kernels.requests import LARGE, Requests


@pytest.fixture
def asked(monkeypatch: Any) -> list[tuple[str, int]]:
    """What is asked for, by kind and address."""
    found: list[tuple[str, int]] = []
    for name in ("prefetch", "prefetch_once"):
        monkeypatch.setattr(
            requests, name, lambda address, name=name: found.append((name, address))
        )
    return found


@pytest.mark.parametrize("size", [1, 64, 65, 288, 420, 1024])
@pytest.mark.parametrize("products", [1, 8, 32, 256])
def test_every_line_is_asked_for_once(asked: Any, size: int, products: int) -> None:
    block = Requests(size, rows=4, stays=True)
    for product in range(products):
        block.after(product, products, 1 << 20, 0)
    far = [address for _, address in asked if address >= 1 << 20]
    assert far == list(range(1 << 20, (1 << 20) + size, 64))


@pytest.mark.parametrize(
    ("size", "rows", "times"), [(LARGE, 1, 1), (LARGE + 1, 1, 2), (64, 4, 2), (LARGE + 1, 8, 2)]
)
def test_large_blocks_and_several_rows_ask_twice(
    asked: Any, size: int, rows: int, times: int
) -> None:
    Requests(size, rows, stays=True).after(0, 1, 0, 0)
    assert len(asked) == times * -(-size // 64)


@pytest.mark.parametrize(("stays", "kind"), [(True, "prefetch"), (False, "prefetch_once")])
def test_what_stays_is_asked_for_otherwise(asked: Any, stays: bool, kind: str) -> None:
    Requests(64, 1, stays).after(0, 1, 0, 0)
    assert asked == [(kind, 0)]


def test_a_whole_block_is_asked_for_ahead_of_it(asked: Any) -> None:
    block = Requests(128, rows=8, stays=False)
    block.whole()(1000)
    ahead = {1000 + distance + line for distance in (block.far, block.near) for line in (0, 64)}
    assert {address for _, address in asked} == ahead
