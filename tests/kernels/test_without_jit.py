"""NUMBA_DISABLE_JIT=1: kernels run as plain Python and give the same bytes."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "bits_of_ops.py"
COMPILED = runpy.run_path(str(SCRIPT))
RUN_ALL = [sys.executable, str(SCRIPT)]


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    out = subprocess.run(RUN_ALL, env=environment, capture_output=True, text=True, check=True)
    digests: dict[str, str] = json.loads(out.stdout)
    return digests


@pytest.mark.parametrize("name", COMPILED["OPERATIONS"])
def test_bytes_are_those_of_the_compiled_kernels(name: str, plain: dict[str, str]) -> None:
    assert plain[name] == COMPILED["digests"]([name])[name]
