"""Machine code on disk: what is read is what was written, or nothing; kernels need no Numba."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from gnomon.kernels import machine_code
from gnomon.kernels._jit import DISABLED, cache_folder, code_path
from gnomon.kernels.elementwise import add
from gnomon.kernels.machine_code import MachineCode

MADE = MachineCode("symbol", b"\x7fELF and so on")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    machine_code.write(tmp_path / "a.code", MADE)
    assert machine_code.read(tmp_path / "a.code") == MADE


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_changed_byte_is_noticed(at: int, tmp_path: Path) -> None:
    machine_code.write(tmp_path / "a.code", MADE)
    raw = bytearray((tmp_path / "a.code").read_bytes())
    raw[at] ^= 1
    (tmp_path / "a.code").write_bytes(raw)
    assert machine_code.read(tmp_path / "a.code") is None


def test_no_file_is_no_code(tmp_path: Path) -> None:
    assert machine_code.read(tmp_path / "a.code") is None


def test_a_folder_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    machine_code.write(tmp_path / "none" / "a.code", MADE)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_functions_of_one_name_are_kept_apart() -> None:
    assert add.address
    made = machine_code.read(Path(str(code_path(add.key))))
    assert made is not None
    addresses = {add.address, *(machine_code.load(made, lambda: None) for _ in range(2))}
    assert len(addresses) == 3
    assert 0 not in addresses


def left_behind(kernel: str) -> bool:
    """Whether a file outside the package made it that is no longer as it was: its name tells."""
    root = Path(__file__).parents[2]
    files = [path for folder in ("benchmarks", "tests") for path in (root / folder).rglob("*.py")]
    now = {hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in files}
    made_by = re.search(r"_([0-9a-f]{8})$", kernel)
    return made_by is not None and made_by[1] not in now


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_kernels_call_nothing_of_numbas() -> None:
    """Those that this cache holds: one that could raise an exception would call Numba to do it."""
    assert add.address
    folder = Path(str(cache_folder()))
    made = {path.stem: machine_code.read(path) for path in folder.glob("*.code")}
    assert "elementwise_add" in made
    bad = [name for name, one in made.items() if one is None or one.needs_numba]
    assert [name for name in bad if not left_behind(name)] == []
