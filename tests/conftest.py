"""Fixtures for all rooms: the two real models, fetched once, and small random things."""

from __future__ import annotations

import importlib.util
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
def minilm_path() -> Path:
    """all-MiniLM-L6-v2, converted to F32."""
    return _model_path("all-minilm-l6-v2")


@pytest.fixture(scope="session")
def encoder_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write an encoder's fixture, `encoder_path("bert", kv=more, tensors=more)`; give its path."""
    fixture = _module(GOLDEN / "archs" / "fixture.py")

    def made(name: str, folder: Path = GOLDEN / "encoders", **changed: Any) -> Path:
        spec = json.loads((folder / f"{name}.json").read_text())
        spec["kv"] |= changed.pop("kv", {})
        without = changed.pop("without", None)
        spec["tensors"] = [one for one in spec["tensors"] if one[0] != without]
        spec["tensors"] += changed.pop("tensors", [])
        path = tmp_path_factory.mktemp("encoder") / f"{name}.gguf"
        fixture.write(spec, str(path))
        return path

    return made


@pytest.fixture(scope="session")
def archs_golden() -> Path:
    """The folder of decoders' fixtures."""
    return GOLDEN / "archs"


@pytest.fixture(scope="session")
def checkpoint() -> Any:
    """The module that writes tiny checkpoints (golden/convert/checkpoint.py)."""
    return _module(GOLDEN / "convert" / "checkpoint.py")


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
