"""The float64 exponential: compiled and as its twin the same bits, whole vectors or not."""

import numpy as np
import pytest

from gnomon.kernels.exp64 import HIGHEST, LOWEST, exp, exp_ref

EDGES = [LOWEST, HIGHEST, -np.inf, np.inf, -0.0, 1e-300, *np.nextafter([LOWEST, HIGHEST], -np.inf)]
EDGES += np.nextafter([LOWEST, HIGHEST], np.inf).tolist()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 40, 1001, 20_000])
def test_bits_are_those_of_the_twin(size: int) -> None:
    x = np.random.default_rng(size).uniform(-720.0, 720.0, size)
    assert exp(x).tobytes() == exp_ref(x).tobytes()


def test_bits_at_the_edges_are_those_of_the_twin() -> None:
    for x in (np.array(EDGES), np.array(EDGES[:7])):
        assert exp(x).tobytes() == exp_ref(x).tobytes()


def test_any_shape_and_order_is_taken() -> None:
    x = np.random.default_rng(1).normal(size=(6, 10))
    assert np.array_equal(exp(x[::2, ::3]), exp_ref(x)[::2, ::3])


def test_what_is_given_stays() -> None:
    x = np.ones(9)
    x.flags.writeable = False
    assert exp(x).tolist() == [float(exp_ref(x[:1])[0])] * 9
