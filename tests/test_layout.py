"""The rooms keep to themselves: imports go left only, Numba stays in kernels, packages are all
shipped.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["formats", "kernels", "sampling", "engine"]
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all modules a file imports, `gnomon.` in front of our own."""
    package = ["gnomon", *path.relative_to(ROOT).with_suffix("").parts[:-1]]
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, node.module or ""]).strip(".")
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_to_the_left_only(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    later = ROOMS[ROOMS.index(room) + 1 :]
    found = {name for name in imported(path) for other in later if f"gnomon.{other}" in name}
    assert not found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_numba_is_imported_in_kernels_alone(path: Path) -> None:
    if path.relative_to(ROOT).parts[0] == "kernels":
        return
    assert not {name for name in imported(path) if name.split(".")[0] in ("numba", "llvmlite")}


def test_every_folder_of_code_is_a_shipped_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {".".join(("gnomon", *p.parent.relative_to(ROOT).parts)) for p in SOURCES}
    assert folders | {"gnomon"} == set(project["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("room", ROOMS)
def test_the_import_name_leads_to_the_room(room: str) -> None:
    assert (ROOT / "gnomon" / room).resolve() == ROOT / room


def test_no_architecture_is_named_outside_archs() -> None:
    from gnomon.engine.archs import ARCHS

    names = {name for name in ARCHS if name != "gpt2"}  # also a tokenizer's name
    found = []
    for path in SOURCES:
        if path.is_relative_to(ROOT / "engine/archs") or "formats" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.value}")
    assert not found
