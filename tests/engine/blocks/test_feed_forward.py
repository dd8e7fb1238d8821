"""What an activation sees of a row's tail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import Arch, Gate
from gnomon.engine.blocks.feed_forward import activated, tail
from gnomon.engine.blocks.layer import Layer
from gnomon.engine.hparams import read_tails
from gnomon.engine.keys import Keys
from gnomon.formats.errors import MetadataError
from gnomon.formats.metadata import Metadata
from gnomon.kernels.elementwise import gelu_ref
from gnomon.kernels.twin_ops import TwinOps

X = np.random.default_rng(5).standard_normal((4, 80)) * 3 + 2


def layer_of(z: float | None) -> Layer:
    parts: dict[str, Any] = dict.fromkeys(("hparams", "w", "region", "states", "step"))
    arch = Arch("any", gate=Gate.GELU_OF_TAIL)
    return Layer(arch=arch, spec=SimpleNamespace(tail=z), ops=TwinOps(), **parts)  # type: ignore[arg-type]


def cut(x: Any, z: float) -> Any:
    mean, deviation = x.mean(axis=1, keepdims=True), x.std(axis=1, ddof=1, keepdims=True)
    return np.maximum(0, x - mean - z * deviation)


@pytest.mark.parametrize("z", [-0.5, 0.0, 1.6448533535003662])
def test_a_tail_is_what_lies_some_deviations_above_the_mean(z: float) -> None:
    np.testing.assert_allclose(tail(layer_of(z), X), cut(X, z), rtol=1e-9, atol=1e-11)


def test_a_twentieth_of_a_normal_row_is_left() -> None:
    x = np.random.default_rng(6).standard_normal((1, 100_000))
    assert abs((tail(layer_of(1.6448533535003662), x) > 0).mean() - 0.05) < 0.002


def test_a_row_of_equal_numbers_has_no_tail() -> None:
    assert not tail(layer_of(1.0), np.full((2, 16), 3.0)).any()


def test_the_activation_sees_the_tail_and_gates_the_rest() -> None:
    up = X[::-1].copy()
    found = activated(layer_of(1.0), X, up, 0.0)
    np.testing.assert_allclose(found, gelu_ref(cut(X, 1.0)) * up, rtol=1e-9, atol=1e-11)


def test_layers_without_a_threshold_see_all() -> None:
    assert tail(layer_of(None), X) is X


def tails(count: int, scales: list[float] | None = None) -> list[float | None]:
    key = "x.activation_sparsity_scale"
    keys = Keys(Metadata({} if scales is None else {key: np.array(scales)}), "x")
    found = read_tails(keys, count)
    keys.check()
    return found


def test_minus_infinity_is_no_threshold() -> None:
    assert tails(3, [0.5, -np.inf, 0.0]) == [0.5, None, 0.0]


def test_a_file_that_does_not_say_it_has_ten_sparse_layers() -> None:
    found = tails(12)
    assert [tail is not None for tail in found] == [True] * 10 + [False] * 2


@pytest.mark.parametrize("scales", [[1.0, np.nan], [np.inf, 1.0], [1.0]])
def test_thresholds_are_numbers_one_per_layer(scales: list[float]) -> None:
    with pytest.raises(MetadataError, match="activation_sparsity_scale"):
        tails(2, scales)
