"""Tiny checkpoints and what the converter makes of them, each made once."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.convert import convert
from gnomon.formats.gguf import GGUFFile

GOLDEN = Path(__file__).parents[2] / "golden" / "convert"


@pytest.fixture(scope="session")
def convert_golden() -> Callable[[str], Any]:
    """A golden of the converter by its name."""

    def load(name: str) -> Any:
        path = GOLDEN / name
        return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path)

    return load


@pytest.fixture(scope="session")
def folder(checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint, not to be changed."""

    @functools.cache
    def write(name: str) -> Path:
        path = tmp_path_factory.mktemp("checkpoint") / name
        checkpoint.write(path, name)
        return Path(path)

    return write


@pytest.fixture(scope="session")
def converted(
    folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Path]:
    """The file that a checkpoint becomes."""

    @functools.cache
    def make(name: str, file_type: str) -> Path:
        target = tmp_path_factory.mktemp("gguf") / f"{name}.gguf"
        convert(folder(name), target, file_type)
        return target

    return make


@pytest.fixture
def changed(checkpoint: Any, tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint of its own, with keys of its configuration changed (None: taken out)."""

    def write(name: str, **change: Any) -> Path:
        folder = tmp_path / "in"
        checkpoint.write(folder, name)
        path = folder / "config.json"
        config = json.loads(path.read_text()) | change
        path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
        return folder

    return write


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


@pytest.fixture(scope="session")
def tensors() -> Callable[[GGUFFile], list[list[Any]]]:
    """Names, types, shapes and digests, as the goldens have them."""

    def listed(file: GGUFFile) -> list[list[Any]]:
        return [
            [name, t.type.name.upper(), list(t.shape), _digest(t.data.tobytes())]
            for name, t in file.tensors.items()
        ]

    return listed


@pytest.fixture(scope="session")
def metadata() -> Callable[[GGUFFile], dict[str, Any]]:
    """What is not a name or a description, lists as digests, as the goldens have it."""

    def listed(file: GGUFFile) -> dict[str, Any]:
        said = ("type", "file_type", "quantization_version", "sampling.")
        found = {}
        for key, value in file.metadata.items():
            name = key.removeprefix("general.")
            if name != key and not name.startswith(said):
                continue
            many = value.tolist() if isinstance(value, np.ndarray) else value
            found[key] = _digest(json.dumps(many).encode()) if isinstance(many, list) else many
        return found

    return listed
