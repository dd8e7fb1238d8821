"""Every cache type on a real model: the same bits however it is cut, and clear errors."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.cache import layer_regions
from gnomon.engine.load_config import CACHE_TYPES, LoadConfig
from gnomon.engine.model import Model
from gnomon.formats.errors import MetadataError

ROWS = 12
# Largest mean divergence, in nats, from float32 of the next token's distribution.
DIVERGENCE = {"f16": 1e-5, "bf16": 5e-4, "q8_0": 1e-3}
TYPES = [*((name, name) for name in CACHE_TYPES), ("q8_0", "f16"), ("f32", "q4_0")]


@functools.cache
def ids() -> tuple[int, ...]:
    rng = np.random.default_rng(3)
    return tuple(int(id_) for id_ in rng.integers(0, 40000, 140))


@pytest.fixture(scope="module")
def logits(smollm2_path: Path) -> Any:
    """The last rows' logits, fed in pieces of `size`."""

    @functools.cache
    def feed(types: tuple[str, str], size: int, threads: int = 2) -> Any:
        config = LoadConfig(
            compute="float32",
            cpu_threads=threads,
            llama_k_cache_quantization_type=types[0],
            llama_v_cache_quantization_type=types[1],
        )
        model = Model.open(smollm2_path, config)
        with model.session() as session:
            starts = range(0, len(ids()), size)
            rows = [session.feed(ids()[i : i + size], logits="all") for i in starts]
        model.close()
        return np.concatenate(rows)[-ROWS:]

    return feed


@pytest.mark.parametrize("types", TYPES, ids="/".join)
def test_pieces_and_threads_change_nothing(types: tuple[str, str], logits: Any) -> None:
    whole = logits(types, 64).tobytes()
    assert logits(types, 7).tobytes() == whole
    assert logits(types, 1, 1).tobytes() == whole


@pytest.mark.parametrize("name", DIVERGENCE)
def test_a_fine_type_stays_close_to_float32(name: str, logits: Any) -> None:
    exact, found = (log_softmax(logits((kind, kind), 64)) for kind in ("f32", name))
    divergence = (np.exp(exact) * (exact - found)).sum(axis=1).mean()
    assert 0 < divergence < DIVERGENCE[name]


def log_softmax(x: Any) -> Any:
    x = x.astype(np.float64) - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("dims", "types", "field"),
    [
        ((80, 64), ("q8_0", "f16"), "attention.key_length of layer 0: found 80"),
        ((64, 40), ("f16", "q4_0"), "attention.value_length of layer 0: found 40"),
    ],
)
def test_sizes_that_no_block_fits_are_an_error_that_names_them(
    dims: tuple[int, int], types: tuple[str, str], field: str, smollm2_path: Path
) -> None:
    with_sizes = Model.open(smollm2_path, LoadConfig(compute="float64"))
    layer = replace(with_sizes.hparams.layers[0], key_dim=dims[0], value_dim=dims[1])
    hparams = replace(with_sizes.hparams, layers=(layer,))
    with pytest.raises(MetadataError, match=f"{field}, expected a multiple of 32, as llama"):
        layer_regions(hparams, types)
