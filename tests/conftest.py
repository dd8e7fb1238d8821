"""Fixtures for all rooms: the two real models, fetched once, and small random things."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "golden"


def _model_path(key: str) -> Path:
    from gnomon.engine.api.registry import present

    return present(key).path


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """SmolLM2-135M-Instruct, Q4_1."""
    return _model_path("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def gemma_path() -> Path:
    """gemma-3-270m, Q4_K_M."""
    return _model_path("gemma-3-270m")


@pytest.fixture(scope="session")
def model_golden() -> Callable[[str], tuple[list[dict[str, Any]], Any]]:
    """Prompts and arrays of a model's golden by transformers (`golden/models/make_models.py`)."""

    def load(name: str) -> tuple[list[dict[str, Any]], Any]:
        prompts = json.loads((GOLDEN / "models" / f"{name}.json").read_text())["prompts"]
        return prompts, np.load(GOLDEN / "models" / f"{name}.npz")

    return load


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that is the same in every test."""
    return np.random.default_rng(7)
