"""Choose the instruction set once, at import: what the host has, or what GNOMON_ISA asks for.

Every choice gives the same bits; they differ in which instructions sum products of bytes
(`dots.py`).
"""

from __future__ import annotations

import os
import platform

import llvmlite.binding as llvm

# LLVM turns float16 numbers with F16C or by calling a function that is not there.
ON_X86 = platform.machine().lower() in ("x86_64", "amd64")
NEEDS: dict[str, tuple[str, ...]] = {
    "avx512vnni": ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni"),
    "avx512": ("avx512f", "avx512bw", "avx512vl", "avx512dq"),
    "avxvnni": ("avx2", "fma", "f16c", "avxvnni"),
    "avx2": ("avx2", "fma", "f16c"),
    "generic": ("f16c",) if ON_X86 else (),
}


def choose(asked: str | None) -> str:
    """The best set the host runs, or `asked`. Raises ValueError for an unknown or missing one."""
    features = llvm.get_host_cpu_features()
    runnable = [name for name, needs in NEEDS.items() if all(features.get(need) for need in needs)]
    if not runnable:
        raise ValueError("this processor lacks F16C, which every x86 path needs")
    if asked is None:
        return runnable[0]
    if asked not in runnable:
        raise ValueError(
            f"GNOMON_ISA: {asked!r}, expected one of {', '.join(runnable)} on this machine"
        )
    return asked


ISA = choose(os.environ.get("GNOMON_ISA"))
# Products of bytes are summed in pairs, of 16 bits, `dots.py`.
PAIRS = ISA in ("avx2", "avx512")
# 16 registers of half a vector each, not 32 of a whole one, hold fewer sums beside operands.
NARROW = not ISA.startswith("avx512")
SUMS = 4 if NARROW else 16
# For what processor code is compiled: this one, or what Numba is told.
FEATURES = os.environ.get("NUMBA_CPU_FEATURES", llvm.get_host_cpu_features().flatten())
HOST = f"{os.environ.get('NUMBA_CPU_NAME') or llvm.get_host_cpu_name()} {FEATURES}"
# Of vpdpwssd LLVM makes two instructions for Intel's cores, and runs out of registers, unless it is
# told that one is fast. Nanoseconds of a block of 16 rows of Q4_0 and of 4 and of 8 rows of 16-bit
# activations on one Emerald Rapids core: 38 and 54, told 20 and 34; by AVX-VNNI 55 and 107, 35 and
# 67. LLVM 15 neither makes two of it nor knows the name.
TAKEN_APART = "vnni" in ISA and llvm.llvm_version_info[0] > 15
WHOLE_WORDS = ",".join(filter(None, (FEATURES, "+fast-dpwssd"))) if TAKEN_APART else ""
# Whose cores these are decides how weights are asked for, `requests.py`.
CORE = llvm.get_host_cpu_name()
AMD = CORE.startswith("znver")
