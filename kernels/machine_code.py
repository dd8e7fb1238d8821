"""Machine code on disk: one file a kernel, loaded by LLVM without Numba.

    "gnomcode"  sha256 of the rest  | length of the symbol u16, symbol, object file

A file that is torn, or is not what its digest says, is as if it were not there. What the code calls
outside itself (`memset`, say) is in the process; where that is a function of Numba's, because it
could raise an exception, Numba is imported before the code is loaded.
"""

from __future__ import annotations

import functools
import hashlib
import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

MAGIC, DIGEST = b"gnomcode", 32
LENGTH = struct.Struct("<H")
NUMBAS_NAMES = b"numba_", b"NRT_"  # symbols of what Numba brings

# Code stays loaded as long as the process runs, and in few engines: one more takes 1 ms, one more
# file in it 0.1. Functions of one name need two: each with the names that it has.
_engines: list[tuple[Any, set[str]]] = []


@dataclass(frozen=True)
class MachineCode:
    """An object file and the function in it that is meant."""

    symbol: str
    code: bytes

    @property
    def needs_numba(self) -> bool:
        """Whether it calls functions of Numba's."""
        return any(name in self.code for name in NUMBAS_NAMES)


def read(path: Path) -> MachineCode | None:
    """What `write` wrote, or None."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    start = len(MAGIC) + DIGEST
    body = raw[start:]
    if raw[:start] != MAGIC + hashlib.sha256(body).digest():
        return None
    end = LENGTH.size + LENGTH.unpack_from(body)[0]
    return MachineCode(body[LENGTH.size : end].decode(), body[end:])


def write(path: Path, made: MachineCode) -> None:
    """Write a file at once whole; a full or read-only disk costs the cache, not the answer."""
    symbol = made.symbol.encode()
    body = LENGTH.pack(len(symbol)) + symbol + made.code
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(file.name, path)


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def load(made: MachineCode, bring_numba: Callable[[], object]) -> int:
    """The address of its function; first calls `bring_numba` if it needs that. One at a time."""
    if made.needs_numba:
        bring_numba()
    engine = _engine_without(made.symbol)
    engine.add_object_file(llvm.ObjectFileRef.from_data(made.code))
    engine.finalize_object()
    return int(engine.get_function_address(made.symbol))


def _engine_without(symbol: str) -> Any:
    """An engine that has no function of this name, and counts it as one that it has."""
    for engine, names in _engines:
        if symbol not in names:
            names.add(symbol)
            return engine
    machine = _target().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    _engines.append((engine, {symbol}))
    return engine
