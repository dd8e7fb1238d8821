"""Every instruction set gives the same bytes: each forced in a process of its own.

The compiler is held to a processor that has the set and little more, so that "avx2" on a newer
machine really is AVX2; "generic" is one without AVX2 and FMA.
"""

from __future__ import annotations

import json
import os
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from gnomon.kernels.isa import NEEDS, choose

SCRIPT = Path(__file__).parent / "bits_of_ops.py"
PROCESSORS = {
    "avx512vnni": "cascadelake",
    "avx512": "skylake-avx512",
    "avxvnni": "alderlake",
    "avx2": "haswell",
    "generic": "ivybridge",
}
OPERATIONS = [
    "int8 iq4_nl, 1 row",
    "int8 tq1_0, 1 row",
    "int8 q2_k, 3 rows",
    "int8 q6_k, 9 rows",
    "int8 q4_k, many rows",
    "int16 q8_0, 1 row",
    "int16 q6_k, 3 rows",
    "int16 q4_k, many rows",
    "float q4_1, 1 row",
    "float bf16, many rows",
    "attention, 1 row",
    "norm",
    "exponentials",
    "best",
    "few",
]


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    digests: dict[str, str] = runpy.run_path(str(SCRIPT))["digests"](OPERATIONS)
    return digests


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 sets")
@pytest.mark.parametrize("isa", NEEDS)
def test_bytes_are_those_of_this_process(isa: str, here: dict[str, str], tmp_path: Path) -> None:
    features = llvm.get_host_cpu_features()
    if not all(features.get(need) for need in (*NEEDS[isa], "avx", "f16c")):
        pytest.skip(f"this processor lacks {isa}")
    environment = os.environ | {
        "GNOMON_ISA": isa,
        "GNOMON_CACHE": str(tmp_path),
        "NUMBA_CPU_NAME": PROCESSORS[isa],
        "NUMBA_CPU_FEATURES": "",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, str(SCRIPT), *OPERATIONS]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == here


def test_every_set_has_a_processor() -> None:
    assert set(PROCESSORS) == set(NEEDS)


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match=r"GNOMON_ISA: 'sse9', expected one of .*generic"):
        choose("sse9")
