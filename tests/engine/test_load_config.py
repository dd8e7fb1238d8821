"""LoadConfig: defaults that depend on the file and on the mode."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.load_config import MAX_THREADS, LoadConfig
from gnomon.kernels import team


@pytest.mark.parametrize(
    ("chosen", "trained", "length"), [(None, 8192, 4096), (None, 512, 512), (100, 8192, 100)]
)
def test_the_context_is_the_caller_s_or_at_most_4096(
    chosen: int | None, trained: int, length: int
) -> None:
    assert LoadConfig(context_length=chosen).context_for(trained) == length


@pytest.mark.parametrize(
    ("given", "types"),
    [
        ({}, ("f16", "f16")),
        ({"compute": "float32"}, ("f32", "f32")),
        ({"compute": "float64"}, ("f64", "f64")),
        ({"use_fp16_for_kv_cache": False}, ("f32", "f32")),
        ({"compute": "float32", "use_fp16_for_kv_cache": True}, ("f16", "f16")),
        ({"llama_k_cache_quantization_type": "q8_0"}, ("q8_0", "f16")),
        ({"compute": "float32", "llama_v_cache_quantization_type": "bf16"}, ("f32", "bf16")),
        ({"compute": "float64", "llama_k_cache_quantization_type": "q8_0"}, ("f64", "f64")),
    ],
)
def test_cache_types(given: dict[str, Any], types: tuple[str, str]) -> None:
    assert LoadConfig(**given).cache_types() == types


def test_a_load_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        LoadConfig().compute = "float32"  # type: ignore[misc]


def test_as_many_threads_may_be_asked_for_as_a_team_has() -> None:
    assert MAX_THREADS == team.MAX_THREADS
