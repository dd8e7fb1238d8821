"""Compile kernels with Numba; keep the machine code in a cache keyed by the text of all kernel
files.

Numba's own cache looks at one file only: edit a helper and its cached callers give the old answer.
Here the folder's name is a digest of all of `kernels/**/*.py`, the instruction set and Numba's
version, so a change anywhere is a new folder; the newest few are kept. A cache entry that cannot be
read is compiled again.

Two ways in: `jit` for functions over NumPy arrays, called from Python; `native` for functions over
raw memory, called by the thread team (`tape.kernel`). `inline` marks their helpers. With
NUMBA_DISABLE_JIT=1 all leave plain Python.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba.core import caching
from numba.core.ccallback import CFunc

from . import inlining
from .isa import ISA

KEEP_DIGESTS, DIGITS = 4, 24
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Functions over raw memory hold no arrays, so they need not count references.
RAW = OPTIONS | {"_nrt": False}
DISABLED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

_listeners: list[Callable[[str], None]] = []


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
    """Digest of what decides the machine code: all kernel sources, the instruction set, Numba."""
    here = Path(__file__).parent
    total = hashlib.sha256(f"{ISA} {numba.__version__} {sys.version_info[:2]}".encode())
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


class _TreeLocator(caching.UserWideCacheLocator):
    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_digest()


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes: ClassVar = [_TreeLocator]  # type: ignore[misc]


class _KernelCache(caching.FunctionCache):
    """Numba's cache with our folder; a name says which variant, where a closure's cells cannot."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = self._read(sig, target_context)
        except Exception:  # a torn, foreign or unreadable entry is compiled again
            self.flush()
            found = None
        if found is None:
            announce(self._py_func.__qualname__)
        return found

    def _read(self, sig: Any, target_context: Any) -> Any:
        return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full or read-only disk costs the cache, not the answer
            super().save_overload(sig, data)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (sig, codegen.magic_tuple(), self._py_func.__qualname__)


class _NativeCache(_KernelCache):
    """Functions over raw memory need nothing of Numba's once compiled: its context stays empty,
    which saves 0.2 s of a start.
    """

    def _read(self, sig: Any, target_context: Any) -> Any:
        return self._load_overload(sig, target_context)


def announce(name: str) -> None:
    """Tell listeners that `name` is about to be compiled."""
    for listener in tuple(_listeners):
        listener(name)


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
    compiled = numba.njit(**OPTIONS)(function)
    return compiled if DISABLED else _cached(compiled, _KernelCache, function)


def inline(function: Callable[..., Any], arrays: bool = False) -> Any:
    """Compile a helper into its callers, which may hand it `arrays`."""
    if DISABLED:
        return function
    options = OPTIONS if arrays else RAW
    return numba.njit(forceinline=True, **inlining.options(), **options)(function)


def native(function: Callable[..., Any], signature: Any) -> CFunc:
    """Compile `function` to a C function of `signature`; its `.address` can be called from any
    thread.
    """
    compiled = CFunc(function, (signature.args, signature.return_type), locals={}, options=RAW)
    _cached(compiled, _NativeCache, function).compile()
    return compiled


def _cached(compiled: Any, kind: type[_KernelCache], function: Callable[..., Any]) -> Any:
    if cache_folder() is not None:
        compiled._cache = kind(function)
    return compiled
