"""Rounding to cache types: the formula is ggml's, and the kernel is the formula, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from gnomon.kernels.kv_quant import quantize_ref, quantizer
from gnomon.kernels.kv_types import KV_TYPES, QUANTISED
from gnomon.kernels.quants.table import DEQUANTIZE_REF
from gnomon.kernels.tape import Kernel

GOLDEN = Path(__file__).parent / "golden"


def numbers(rng: np.random.Generator) -> Any:
    """Blocks of all sizes; zeros, equal numbers, ties of the largest, whole and half steps."""
    x = rng.standard_normal((400, 32), dtype=np.float32)
    x *= np.exp(rng.uniform(-10, 10, (400, 1))).astype(np.float32)
    x[0], x[1], x[2] = 0, 3, -3
    x[3] = np.arange(32) - 16
    x[4] = (np.arange(32) - 15.5) / 2
    x[5, ::2] = 0
    x[6], x[7] = np.tile([1, -1], 16), np.tile([-1, 1], 16)
    x[8] *= np.float32(1e-30)
    return x


@pytest.mark.parametrize("name", [n for n in QUANTISED if n != "iq4_nl"])
def test_the_formula_gives_the_bytes_of_the_gguf_package(
    name: str, rng: np.random.Generator
) -> None:
    x = numbers(rng)
    expected = quants.quantize(x, GGMLQuantizationType[name.upper()])
    assert np.array_equal(quantize_ref(KV_TYPES[name], x), expected)


@pytest.mark.parametrize("name", QUANTISED)
def test_the_formula_gives_ggmls_codes_and_its_scale_but_for_the_last_bit(name: str) -> None:
    golden = np.load(GOLDEN / "kv_blocks.npz")
    found, expected = quantize_ref(KV_TYPES[name], golden["x"]), golden[name]
    scales = [blocks[:, :2].copy().view("<f2").astype(np.float64) for blocks in (found, expected)]
    assert np.array_equal(found[:, 2:], expected[:, 2:])
    assert (np.abs(scales[0] - scales[1]) <= 2**-10 * np.abs(scales[1])).all()


@pytest.mark.parametrize("name", QUANTISED)
def test_the_kernel_gives_the_bytes_of_the_formula(name: str, rng: np.random.Generator) -> None:
    kind, x = KV_TYPES[name], numbers(rng)
    x[9] *= np.float32(1e-38)  # 1 / scale is infinite
    quantize, size = quantizer(kind), kind.step_bytes

    def body(part, parts, thread, source, to, count):  # type: ignore[no-untyped-def]
        for i in range(count):
            quantize(source + 128 * i, to + size * i)

    found = np.zeros((len(x), size), np.uint8)
    Kernel(f"test_quantize_{name}", body).run(0, 1, x, found, len(x))
    assert np.array_equal(found, quantize_ref(kind, x))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", QUANTISED)
def test_a_number_that_is_not_finite_spoils_its_block_alone(
    name: str, wrong: float, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, 32), dtype=np.float32)
    x[0, 9] = wrong
    back = DEQUANTIZE_REF[name](quantize_ref(KV_TYPES[name], x))
    assert np.isnan(back[0]).all()
    assert np.isfinite(back[1]).all()


STEPS = {"q8_0": 254, "q4_0": 16, "q4_1": 30, "q5_0": 32, "q5_1": 62}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_stored_is_half_a_step_away_at_most(name: str, rng: np.random.Generator) -> None:
    x = rng.uniform(-1, 1, (200, 32)).astype(np.float32)
    back = DEQUANTIZE_REF[name](quantize_ref(KV_TYPES[name], x))
    # Half a step of the largest range, and float16's rounding; types with a middle cut one end.
    reach = 2 if name in ("q4_0", "q5_0") else 1
    assert np.abs(back - x).max() <= reach * 2 / STEPS[name] + 2**-9
