"""The progress line of commands: which model is loading, which kernel is being compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..api.progress import Progress


@contextmanager
def loading(key: str) -> Iterator[None]:
    """Show that a model is loading, on a terminal."""
    progress = Progress()
    if progress.live:
        progress.update(f"loading {key}")
    try:
        yield
    finally:
        progress.close()


@contextmanager
def compiling() -> Iterator[Progress]:
    """Tell of every kernel that is compiled within the block: on the first run only."""
    from ...kernels._jit import on_compile
    from ...kernels.ahead import two_compilers

    progress = Progress()
    count = 0

    def tell(name: str) -> None:
        nonlocal count
        count += 1
        progress.update(f"first run: compiling kernel {count} ({name})")

    with on_compile(tell), two_compilers():
        try:
            yield progress
        finally:
            progress.close()
