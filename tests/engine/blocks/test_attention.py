"""ALiBi's slopes and the temperature of positions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnomon.engine.blocks.attention import alibi_slopes
from gnomon.engine.temperature import Temperature


def test_slopes_of_8_heads_are_halves_of_each_other() -> None:
    np.testing.assert_allclose(alibi_slopes(8, 8.0), [2.0**-i for i in range(1, 9)], rtol=1e-15)


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 12, 40])
def test_slopes_of_other_numbers_lie_between_those_of_powers_of_two(heads: int) -> None:
    whole = 2 ** int(math.log2(heads))
    first = [2.0 ** (-8 / whole * (i + 1)) for i in range(whole)]
    other = [2.0 ** (-4 / whole * (2 * i + 1)) for i in range(heads - whole)]
    np.testing.assert_allclose(alibi_slopes(heads, 8.0), first + other, rtol=1e-14)


def test_temperature_grows_by_the_logarithm_of_whole_lengths() -> None:
    factor = Temperature(0.1, 100, 1, without_rope=True)
    found = factor.at(np.array([0, 98, 99, 199, 999]))
    wanted = [1.0, 1.0, 1 + 0.1 * math.log(2), 1 + 0.1 * math.log(3), 1 + 0.1 * math.log(11)]
    np.testing.assert_allclose(found, wanted, rtol=1e-15)
