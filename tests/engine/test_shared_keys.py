"""Which layers attend to an earlier one's keys, and where those lie."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.engine.arch import Arch
from gnomon.engine.cache import layer_regions
from gnomon.engine.hparams import LayerSpec
from gnomon.engine.keys import Keys
from gnomon.engine.shared_keys import share_keys
from gnomon.formats.errors import MetadataError
from gnomon.formats.metadata import Metadata

WINDOWS = (8, 0, 8, 8, 0, 8)


def layers_of(windows: tuple[int, ...], kv_heads: tuple[int, ...] = (2,) * 6) -> list[LayerSpec]:
    pairs = zip(windows, kv_heads, strict=True)
    return [LayerSpec(4, heads, 16, 16, 32, window, None) for window, heads in pairs]


def shared(layers: list[LayerSpec], first: int | None, count: int | None = None) -> list[LayerSpec]:
    key = "x.attention.shared_kv_layers"
    keys = Keys(Metadata({} if count is None else {key: count}), "x")
    found = share_keys(keys, Arch("x", first_sharing=first), layers)
    keys.check()
    return found


def borrowers(first: int | None, count: int | None = None) -> list[int]:
    found = shared(layers_of(WINDOWS), first, count)
    return [i for i, layer in enumerate(found) if layer.borrows_keys]


def test_the_last_layers_borrow_as_the_file_says() -> None:
    assert borrowers(0, 3) == [3, 4, 5]
    assert borrowers(5, 3) == [3, 4, 5]


def test_a_file_that_does_not_say_it_has_what_the_spec_says() -> None:
    assert borrowers(5) == [5]
    assert borrowers(0) == []
    assert borrowers(20) == []


def test_a_spec_that_shares_nothing_does_not_read_the_key() -> None:
    assert borrowers(None, 3) == []


def test_a_borrower_has_the_place_of_the_last_layer_of_its_window() -> None:
    hparams: Any = SimpleNamespace(layers=shared(layers_of(WINDOWS), 0, 3), adapters=None)
    regions = layer_regions(hparams, ("f16", "f16"))
    assert regions[3] is regions[2]
    assert regions[4] is regions[1]
    assert regions[5] is regions[2]
    assert max(region.end for region in regions) == regions[2].end


def test_someone_must_lend() -> None:
    with pytest.raises(MetadataError, match=r"shared_kv_layers.*window 0"):
        shared(layers_of((8, 8, 8, 8, 0, 8)), 0, 2)


def test_all_layers_but_one_may_borrow_and_not_the_first() -> None:
    assert sum(layer.borrows_keys for layer in shared(layers_of((0,) * 6), 0, 5)) == 5
    with pytest.raises(MetadataError, match="shared_kv_layers"):
        shared(layers_of((0,) * 6), 0, 6)


def test_a_lender_has_as_many_key_heads() -> None:
    layers = layers_of(WINDOWS, (2, 2, 2, 2, 2, 1))
    with pytest.raises(MetadataError, match="head_count_kv"):
        shared(layers, 0, 3)
