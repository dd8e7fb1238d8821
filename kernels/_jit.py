"""Compile kernels with Numba; keep the machine code in a cache keyed by the text of all kernel
files.

Numba's own cache looks at one file only: edit a helper and its cached callers give the old answer.
Here the folder's name is a digest of all of `kernels/**/*.py`, the processor and Numba's version,
so a change anywhere is a new folder; the newest few are kept. A cache entry that cannot be read is
compiled again.

Two ways in: `jit` for functions over NumPy arrays, called from Python; `native` for functions over
raw memory, called by the thread team (`tape.kernel`). `inline` marks their helpers. With
NUMBA_DISABLE_JIT=1 all leave plain Python. Numba is imported when something must be compiled, by
`jit` always: a start that finds its kernels in the cache is 0.3 s shorter without.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import machine_code
from .interrupts import held
from .isa import HOST, ISA

KEEP_DIGESTS, DIGITS = 4, 24
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Functions over raw memory hold no arrays, so they need not count references.
RAW = OPTIONS | {"_nrt": False}
DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

_listeners: list[Callable[[str], None]] = []
compile_lock = threading.RLock()


def cache_root() -> Path:
    """The folder that holds one folder per digest: `GNOMON_CACHE`, else the user's cache."""
    if set_by_user := os.environ.get("GNOMON_CACHE"):
        return Path(set_by_user)
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "gnomon/kernels"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/gnomon/kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gnomon/kernels"


@functools.cache
def source_digest() -> str:
    """Digest of what decides the machine code: all kernel sources, the processor, Numba."""
    here = Path(__file__).parent
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    total = hashlib.sha256(f"{ISA} {HOST} {versions} {sys.version_info[:2]}".encode())
    for path in sorted(here.rglob("*.py")):
        total.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:DIGITS]


@functools.cache
def cache_folder() -> str | None:
    """Make this digest's folder, forget all but the newest few, and return its path.

    None, after a warning, where no folder can be made: then every process compiles for itself.
    """
    folder = cache_root() / source_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError as error:
        logging.getLogger("gnomon").warning("no compile cache: %s", error)
        return None
    with suppress(OSError):
        siblings = [path for path in folder.parent.iterdir() if len(path.name) == DIGITS]
        for old in sorted(siblings, key=lambda path: path.stat().st_mtime)[:-KEEP_DIGESTS]:
            shutil.rmtree(old, ignore_errors=True)
    return str(folder)


def announce(name: str) -> None:
    """Tell listeners that `name` is about to be compiled."""
    for listener in tuple(_listeners):
        listener(name)


def forget_listeners() -> None:
    """Tell nobody any more (in a child that compiles for its parent)."""
    _listeners.clear()


@contextmanager
def on_compile(listener: Callable[[str], None]) -> Iterator[None]:
    """Call `listener(name)` before each kernel that is compiled rather than loaded, within the
    block.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function over arrays at its first call; releases the GIL while it runs."""
    return function if DISABLED else _compiler().compile_at_call(function)


class Inline:
    """A helper that is compiled into its callers; `compiler.py` asks for its dispatcher."""

    def __init__(self, function: Callable[..., Any], arrays: bool) -> None:
        self._function, self._arrays = function, arrays
        self.__doc__ = function.__doc__

    @functools.cached_property
    def dispatcher(self) -> Any:
        """Numba's handle of it."""
        return _compiler().helper(self._function, OPTIONS if self._arrays else RAW)


def inline(function: Callable[..., Any], arrays: bool = False) -> Any:
    """Compile a helper into its callers, which may hand it `arrays`."""
    return function if DISABLED else Inline(function, arrays)


def code_path(name: str) -> Path | None:
    """Where the code of the kernel `name` lies once it is compiled; None without a cache."""
    folder = cache_folder()
    return Path(folder) / f"{name}.code" if folder else None


def native(name: str, make: Callable[[], Callable[..., None]], words: int) -> int:
    """The address of a C function of `words` int64, which may be called from any thread: from the
    cache, else `make()` compiled. Names are unique among all variants.
    """
    with compile_lock:
        path = code_path(name)
        made = machine_code.read(path) if path else None
        if made is None:
            announce(name)
            made = _compiler().compile_native(make(), words)
            if path:
                machine_code.write(path, made)
        return machine_code.load(made, _compiler)


@functools.cache
def _compiler() -> Any:
    """What compiles kernels, with Numba, whose import cannot be made again once interrupted."""
    with held(everywhere=True):
        from . import compiler

        compiler.ready()
    return compiler
