"""Encoders against a plain float64 forward pass that agrees with llama.cpp (golden/encoders)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.embed import hidden_rows
from gnomon.engine.errors import LMStudioValueError
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model

GOLDEN = Path(__file__).parents[1] / "golden" / "encoders"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
LIMITS = {"float64": 1e-24, "float32": 1e-12}


@pytest.fixture(scope="module")
def model(encoder_path: Any) -> Any:
    @functools.cache
    def open_model(name: str, compute: Any) -> Model:
        return Model.open(encoder_path(name), LoadConfig(compute=compute))

    return open_model


@functools.cache
def golden(name: str) -> tuple[list[int], np.ndarray]:
    arrays = np.load(GOLDEN / f"{name}.npz")
    return arrays["tokens"].tolist(), arrays["rows"]


@pytest.mark.parametrize("compute", LIMITS)
@pytest.mark.parametrize("name", NAMES)
def test_rows_agree_with_the_golden(name: str, compute: str, model: Any) -> None:
    tokens, rows = golden(name)
    found = hidden_rows(model(name, compute), [tokens])[0]
    assert np.sum((found - rows) ** 2) / np.sum(rows**2) <= LIMITS[compute]


@pytest.mark.parametrize("compute", ["float64", "float32", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_a_text_s_bits_are_the_same_alone_and_among_others(
    name: str, compute: str, model: Any
) -> None:
    tokens, _ = golden(name)
    texts = [tokens[:7], tokens, tokens[5:9], tokens[:1], tokens[3:40]]
    together = hidden_rows(model(name, compute), texts)
    alone = [hidden_rows(model(name, compute), [text])[0] for text in texts]
    assert [rows.tobytes() for rows in together] == [rows.tobytes() for rows in alone]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_file_is_left_over(name: str, model: Any) -> None:
    assert model(name, "float32").notes == []


def test_an_encoder_has_no_sessions(model: Any) -> None:
    with pytest.raises(LMStudioValueError, match="no logits"):
        model("bert", "float32").session()
