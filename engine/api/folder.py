"""The models folder: where it is, which GGUF files it holds, and which one a key means.

Files lie LM Studio's way, `publisher/model/file.gguf`; shallower ones count too. Of a split file
only the first part is listed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..errors import LMStudioModelNotFoundError
from .catalogue import CATALOGUE, Entry

LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
DEPTH = 3


@dataclass(frozen=True)
class Found:
    """A model file under the name it is called by; `entry` if the catalogue has it."""

    key: str
    path: Path
    entry: Entry | None = None


def cache_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The user's cache folder by the platform's rule."""
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if platform == "darwin":
        return Path.home() / "Library" / "Caches"
    chosen = environ.get("XDG_CACHE_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache"


def models_folder() -> Path:
    """`GNOMON_MODELS`, else `gnomon/models` in the user's cache; it need not exist yet."""
    chosen = os.environ.get("GNOMON_MODELS")
    return Path(chosen).expanduser() if chosen else cache_folder() / "gnomon" / "models"


def downloaded(folder: Path) -> list[Found]:
    """Every model file in the folder, by key."""
    paths = sorted(path for path in _gguf_files(folder, DEPTH) if not LATER_PART.search(path.name))
    return sorted((_named(path, folder, paths) for path in paths), key=lambda found: found.key)


def find(key: str, folder: Path) -> Found:
    """The file that a path, a catalogue key or the name of a downloaded model means.

    A catalogue model is found even if its file is not there yet. Raises
    `LMStudioModelNotFoundError` with the nearest known key.
    """
    # Not Path's own: they fail on an unknown user and on a name too long for a file.
    if os.path.isfile(path := os.path.expanduser(key)):
        return Found(key, Path(path).resolve())
    here = downloaded(folder)
    wanted = key.lower()
    if entry := CATALOGUE.get(wanted):
        present = [found for found in here if found.entry is entry]
        return present[0] if present else Found(entry.key, folder / entry.path, entry)
    matches = [found for found in here if wanted in _names(found, folder)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise LMStudioModelNotFoundError(
            f"model {key!r} is ambiguous: {', '.join(found.key for found in matches)}"
        )
    raise LMStudioModelNotFoundError(_not_found(key, here, folder))


def relative(path: Path, folder: Path) -> str:
    """The path as users see it: relative to the models folder if it lies there."""
    inside = path.is_relative_to(folder)
    return (path.relative_to(folder) if inside else path).as_posix()


def _gguf_files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.suffix.lower() == ".gguf" and entry.is_file():
            yield entry
        elif depth > 1 and entry.is_dir():
            yield from _gguf_files(entry, depth - 1)


def _named(path: Path, folder: Path, paths: list[Path]) -> Found:
    for entry in CATALOGUE.values():
        if path.name == Path(entry.path).name and path.stat().st_size == entry.size:
            return Found(entry.key, path, entry)
    own = path.relative_to(folder).with_suffix("")
    alone = len(own.parts) > 1 and sum(other.parent == path.parent for other in paths) == 1
    return Found((own.parent if alone else own).as_posix().lower(), path)


def _names(found: Found, folder: Path) -> set[str]:
    """Everything a downloaded model answers to, in lower case."""
    own = found.path.relative_to(folder)
    names = {found.key, own.as_posix(), own.with_suffix("").as_posix(), own.name, own.stem}
    if len(own.parts) > 1:
        names |= {own.parent.as_posix(), own.parent.name}
    return {name.lower() for name in names}


def _not_found(key: str, here: list[Found], folder: Path) -> str:
    known = sorted({*CATALOGUE, *(found.key for found in here)})
    near = get_close_matches(key.lower(), known, n=1)
    hint = f"nearest is {near[0]!r}; " if near else ""
    return (
        f"no model {key!r}: it is no file, and not among {', '.join(known)}; {hint}"
        f"models are looked for in {folder}"
    )
