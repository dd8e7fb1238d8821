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
ARRAYS = """
import numpy as np
from gnomon.kernels._jit import on_compile
from gnomon.kernels.grammar.trie import forbid
logits = np.zeros(2, np.float32)
with on_compile(lambda name: print("compiling", name)):
    forbid(np.array([1], np.uint32), logits)
print(logits[1])
"""


def run(cache: Path, root: Path = ROOT, code: str = CODE) -> list[str]:
    env = {**os.environ, "GNOMON_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[:-1]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the code of a kernel and of a function over arrays."""
    cache = tmp_path_factory.mktemp("cache")
    assert "compiling elementwise_add" in run(cache)
    assert run(cache, code=ARRAYS) == ["compiling forbid", "-inf"]
    return cache


@pytest.mark.parametrize(("code", "result"), [(CODE, "2.0"), (ARRAYS, "-inf")])
def test_a_second_run_compiles_nothing(code: str, result: str, filled: Path) -> None:
    assert run(filled, code=code) == [result]


def test_a_second_run_does_without_numba(filled: Path) -> None:
    assert run(filled, code=f"{CODE}import sys; print('numba' in sys.modules)")[-1] == "False"


@pytest.mark.parametrize(
    ("entry", "code", "result"),
    [
        ("elementwise_add.code", CODE, "2.0"),
        ("*forbid*.nbi", ARRAYS, "-inf"),
        ("*forbid*.nbc", ARRAYS, "-inf"),
    ],
)
@pytest.mark.parametrize("left", [0, 40, -1])
def test_a_torn_entry_is_compiled_again(
    left: int, entry: str, code: str, result: str, filled: Path, tmp_path: Path
) -> None:
    cache = shutil.copytree(filled, tmp_path / "cache")
    (path,) = cache.rglob(entry)
    path.write_bytes(path.read_bytes()[:left])
    assert run(cache, code=code)[-1] == result
    assert run(cache, code=code) == [result]


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
