"""ALiBi's slopes, the temperature of positions, keys that are values."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.arch import Arch, QKNorm
from gnomon.engine.blocks.attention import alibi_slopes, queries_keys_values
from gnomon.engine.blocks.layer import Layer
from gnomon.engine.temperature import Temperature
from gnomon.kernels.twin_ops import TwinOps


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


def test_without_values_they_are_the_keys_before_norm_and_angles() -> None:
    rng = np.random.default_rng(8)
    h, wq, wk = (rng.standard_normal(shape) for shape in ((5, 6), (8, 6), (4, 6)))
    gain = rng.standard_normal(4)
    parts: dict[str, Any] = {
        "hparams": SimpleNamespace(given={}, epsilon=1e-5, temperature=None),
        "spec": SimpleNamespace(
            borrows_keys=False, heads=2, kv_heads=1, key_dim=4, value_dim=4, window=0, rope=None
        ),
        "w": SimpleNamespace(attn_q=wq, attn_k=wk, attn_q_norm=np.ones(4), attn_k_norm=gain),
        **dict.fromkeys(("region", "states", "step")),
    }
    arch = Arch("any", qk_norm=QKNorm.PER_HEAD, keys_as_values=True, value_norm=True)
    layer = Layer(arch=arch, ops=TwinOps(), **parts)
    _, k, v = queries_keys_values(layer, h)
    made = h @ wk.T
    wanted = made / np.sqrt((made**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(v[:, 0], wanted, rtol=1e-12)
    np.testing.assert_allclose(k[:, 0], wanted * gain, rtol=1e-12)
