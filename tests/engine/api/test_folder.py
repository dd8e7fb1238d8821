"""The models folder: where it is, what is in it, what a key means."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon.engine.api.catalogue import CATALOGUE
from gnomon.engine.api.folder import cache_folder, downloaded, find, models_folder, relative
from gnomon.engine.errors import LMStudioModelNotFoundError

SMOL = CATALOGUE["smollm2-135m-instruct"]


def make(folder: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_MODELS", "~/models")
    assert models_folder() == Path.home() / "models"


def test_without_it_the_folder_is_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GNOMON_MODELS", raising=False)
    assert models_folder().parts[-2:] == ("gnomon", "models")


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"XDG_CACHE_HOME": "/big/cache"}, "linux", Path("/big/cache")),
        ({"XDG_CACHE_HOME": "not/absolute"}, "linux", Path.home() / ".cache"),
        ({}, "linux", Path.home() / ".cache"),
        ({}, "darwin", Path.home() / "Library" / "Caches"),
        ({"LOCALAPPDATA": "/local"}, "win32", Path("/local")),
        ({}, "win32", Path.home() / "AppData" / "Local"),
    ],
)
def test_the_user_s_cache_by_platform(environ: dict[str, str], platform: str, folder: Path) -> None:
    assert cache_folder(environ, platform) == folder


def test_a_file_alone_in_its_folder_is_called_by_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "Acme/Big-Model/big.gguf")
    assert [found.key for found in downloaded(tmp_path)] == ["acme/big-model"]


def test_files_that_share_a_folder_are_called_by_their_names(tmp_path: Path) -> None:
    make(tmp_path, "acme/big/q4.gguf", "acme/big/q8.gguf")
    assert [found.key for found in downloaded(tmp_path)] == ["acme/big/q4", "acme/big/q8"]


def test_only_the_first_part_of_a_split_file_is_listed(tmp_path: Path) -> None:
    make(tmp_path, *(f"a/b/m-0000{n}-of-00003.gguf" for n in (1, 2, 3)))
    assert [found.path.name for found in downloaded(tmp_path)] == ["m-00001-of-00003.gguf"]


def test_other_files_and_hidden_folders_are_not_listed(tmp_path: Path) -> None:
    make(tmp_path, "a/b/readme.md", ".hidden/b/m.gguf", "a/b/.m.gguf.parts/x.gguf")
    assert downloaded(tmp_path) == []


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert downloaded(tmp_path / "missing") == []


def test_a_path_is_its_own_key(tmp_path: Path) -> None:
    make(tmp_path, "m.gguf")
    key = str(tmp_path / "m.gguf")
    assert (find(key, tmp_path).key, find(key, tmp_path).path) == (key, tmp_path / "m.gguf")


@pytest.mark.parametrize(
    "key",
    [
        "acme/big-model",
        "ACME/Big-Model",
        "big-model",
        "acme/big-model/big.gguf",
        "acme/big-model/big",
        "big.gguf",
        "big",
    ],
)
def test_names_a_downloaded_model_answers_to(tmp_path: Path, key: str) -> None:
    make(tmp_path, "Acme/Big-Model/big.gguf")
    assert find(key, tmp_path).path == tmp_path / "Acme/Big-Model/big.gguf"


def test_a_name_of_two_models_is_ambiguous(tmp_path: Path) -> None:
    make(tmp_path, "a/m/x.gguf", "b/m/x.gguf")
    with pytest.raises(LMStudioModelNotFoundError, match="ambiguous: a/m, b/m"):
        find("x", tmp_path)


def test_an_unknown_key_names_the_nearest_and_the_folder(tmp_path: Path) -> None:
    with pytest.raises(LMStudioModelNotFoundError, match="nearest is 'gemma-3-270m'") as error:
        find("gemma-3-27b", tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_catalogue_model_is_found_before_it_is_fetched(tmp_path: Path) -> None:
    found = find("SmolLM2-135M-Instruct", tmp_path)
    assert (found.path, found.entry) == (tmp_path / SMOL.path, SMOL)


def test_a_catalogue_file_counts_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / Path(SMOL.path).name
    with path.open("wb") as file:
        file.truncate(SMOL.size)
    assert find(SMOL.key, tmp_path).path == path


def test_a_file_of_another_size_is_not_the_catalogue_s(tmp_path: Path) -> None:
    make(tmp_path, "other/x/" + Path(SMOL.path).name)
    assert find(SMOL.key, tmp_path).path == tmp_path / SMOL.path


def test_paths_are_shown_relative_to_the_folder(tmp_path: Path) -> None:
    assert relative(tmp_path / "a" / "m.gguf", tmp_path) == "a/m.gguf"
    assert relative(Path("/else/m.gguf"), tmp_path) == "/else/m.gguf"


@pytest.mark.parametrize("key", ["x" * 5000, "~nobody-of-that-name/model.gguf"])
def test_a_key_that_can_be_no_path_is_not_found(tmp_path: Path, key: str) -> None:
    with pytest.raises(LMStudioModelNotFoundError, match="no model"):
        find(key, tmp_path)
