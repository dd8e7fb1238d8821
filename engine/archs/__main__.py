"""Write the page of architectures: what sets each spec apart from LLaMA's, as a table.

python -m gnomon.engine.archs docs/architectures.md
"""

from __future__ import annotations

import sys
from dataclasses import fields
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from ..arch import Arch
from . import ARCHS, SPECS
from .llama import LLAMA

HEAD = """# Architectures

Made by `python -m gnomon.engine.archs docs/architectures.md` from the specs in `engine/archs/`.

Each row says what sets an architecture apart from `llama`, by the fields of `engine/arch.py`.
Where a name has several rows, the file's metadata or tensors choose one.

`llama` itself: {llama}.

| architecture | departs from llama by |
|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    rows = [
        f"| `{name}` | {departures(arch) or 'its name alone'} |"
        for name in sorted(ARCHS)
        for arch in SPECS[name]
    ]
    llama = ", ".join(f"{field.name} {shown(getattr(LLAMA, field.name))}" for field in _axes())
    return HEAD.format(llama=llama) + "\n".join(rows) + "\n"


def departures(arch: Arch) -> str:
    """The fields in which a spec differs from LLAMA, with their values."""
    differs = [f.name for f in fields(Arch) if f.name != "name"]
    differs = [name for name in differs if getattr(arch, name) != getattr(LLAMA, name)]
    return ", ".join(f"{name} {shown(getattr(arch, name))}" for name in differs)


def shown(value: Any) -> str:
    """A value in words."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Arch):
        return f"({departures(value)})"
    if isinstance(value, tuple):
        return " ".join(_pair(item) for item in value) or "none"
    if isinstance(value, partial):
        given = ", ".join(f"{key}={shown(item)}" for key, item in value.keywords.items())
        return f"{shown(value.func)}({given})"
    if callable(value):
        return str(value.__qualname__).removesuffix(".read").lower()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _pair(item: Any) -> str:
    if isinstance(item, str):
        return f"`{item}`"
    key, value = item
    return f"`{key}`" if isinstance(value, float) else f"`{key}` as `{value}`"


def _axes() -> list[Any]:
    """The fields whose value an enum names."""
    return [field for field in fields(Arch) if isinstance(getattr(LLAMA, field.name), Enum)]


def main(arguments: list[str]) -> None:
    """Write the page to the file named by the one argument."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m gnomon.engine.archs docs/architectures.md")
    Path(arguments[0]).write_text(page())


if __name__ == "__main__":
    main(sys.argv[1:])
