"""The compile cache: keyed by all kernel sources, rebuilt when it is torn, silent when it hits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CODE = """
import numpy as np
from gnomon.kernels._jit import on_compile
from gnomon.kernels.elementwise import add
from gnomon.kernels.tape import Tape
from gnomon.kernels.team import team
x = np.ones((2, 16), np.float32); out = np.zeros_like(x); tape = Tape()
with on_compile(lambda name: print("compiling", name)):
    tape.emit(add, 1, (x, x, out, 2, 16, 64, 64, 0.0), [x], [out])
    tape.run(team(), 1)
print(out[0, 0])
"""


def run(cache: Path, root: Path = ROOT) -> list[str]:
    env = {**os.environ, "GNOMON_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=env, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[:-1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the kernel's code."""
    cache = tmp_path_factory.mktemp("cache")
    assert "compiling elementwise_add" in run(cache)
    return cache


def test_a_second_run_compiles_nothing(filled: Path) -> None:
    assert run(filled) == ["2.0"]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_torn_entry_is_compiled_again(ending: str, filled: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(filled, tmp_path / "cache")
    for path in cache.rglob(f"elementwise_add*.{ending}"):
        path.write_bytes(path.read_bytes()[:40])
    assert run(cache)[-1] == "2.0"
    assert run(cache) == ["2.0"]


def test_an_edited_helper_is_compiled_again(filled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "kernels", copy / "kernels")
    for room in ("formats", "sampling", "engine"):
        (copy / room).symlink_to(ROOT / room)
    shutil.copytree(ROOT / "gnomon", copy / "gnomon", symlinks=True)
    source = copy / "kernels" / "elementwise.py"
    source.write_text(source.read_text().replace("return x + y", "return x + y + y"))
    found = run(filled, copy)
    assert (found[-1], "compiling elementwise_add" in found) == ("3.0", True)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run(tmp_path / "file")[-1] == "2.0"


def test_old_digests_are_forgotten(filled: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(filled, tmp_path / "cache")
    (cache / "tiles").mkdir()
    for k in range(6):
        (cache / f"{k:024x}").mkdir()
        os.utime(cache / f"{k:024x}", (k, k))
    run(cache)
    assert sorted(len(path.name) for path in cache.iterdir()) == [5, 24, 24, 24, 24]
