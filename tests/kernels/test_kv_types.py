"""Cache types: what a row takes, and numbers read in kernels as the dequantisers read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from gnomon.kernels.kv_quant import quantize_ref
from gnomon.kernels.kv_types import KV_TYPES, QUANTISED, row_loader, to_bf16, to_bf16_ref
from gnomon.kernels.quants.table import DEQUANTIZE_REF
from gnomon.kernels.simd import load_f32x16, store_f32x16, store_i32x16
from gnomon.kernels.tape import Kernel


def edges(rng: np.random.Generator) -> Any:
    """Numbers whose lower halves are ties, and what is no number."""
    bits = rng.integers(0, 1 << 32, 4096, dtype=np.uint32)
    bits[:512] = bits[:512] & 0xFFFF0000 | 0x8000
    bits[512:520] = 0x7F800001, 0x7FFFFFFF, 0xFF800001, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0, 1
    return bits.view(np.float32)


def test_bf16_is_rounded_as_by_the_gguf_package(rng: np.random.Generator) -> None:
    x = edges(rng)
    expected = quants.quantize(x[None], GGMLQuantizationType.BF16).view(np.uint16)[0]
    assert np.array_equal(to_bf16_ref(x), expected)


def test_bf16_is_the_same_in_kernels(rng: np.random.Generator) -> None:
    x = edges(rng)

    def body(part, parts, thread, source, to, count):  # type: ignore[no-untyped-def]
        for i in range(0, count, 16):
            store_i32x16(to + 4 * i, to_bf16(load_f32x16(source + 4 * i)))

    found = np.zeros(len(x), np.int32)
    Kernel("test_to_bf16", body).run(0, 1, x, found, len(x))
    assert np.array_equal(found, to_bf16_ref(x))


@pytest.mark.parametrize("name", QUANTISED)
def test_a_kernel_reads_blocks_as_the_dequantiser_does(name: str, rng: np.random.Generator) -> None:
    kind = KV_TYPES[name]
    blocks = quantize_ref(kind, rng.standard_normal((100, 32), dtype=np.float32))
    load, size = row_loader(kind, 2), kind.step_bytes

    def body(part, parts, thread, source, to, count):  # type: ignore[no-untyped-def]
        for i in range(count):
            low, high = load(source + size * i)
            store_f32x16(to + 128 * i, low)
            store_f32x16(to + 128 * i + 64, high)

    found = np.zeros((100, 32), np.float32)
    Kernel(f"test_load_{name}", body).run(0, 1, blocks, found, 100)
    assert found.tobytes() == DEQUANTIZE_REF[name](blocks).tobytes()


@pytest.mark.parametrize(
    ("name", "size"), [("f32", 384), ("bf16", 192), ("q8_0", 102), ("q4_1", 60)]
)
def test_row_bytes(name: str, size: int) -> None:
    assert KV_TYPES[name].row_bytes(96) == size


@pytest.mark.parametrize("name", QUANTISED)
def test_a_row_that_is_not_whole_blocks_is_an_error_that_names_type_and_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=f"found 80, expected a multiple of 32 for type {name}"):
        KV_TYPES[name].row_bytes(80)
