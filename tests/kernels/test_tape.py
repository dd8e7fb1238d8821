"""Tapes: order kept where operations depend on each other, host functions in their place."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from gnomon.kernels._jit import DISABLED
from gnomon.kernels.elementwise import add, scale
from gnomon.kernels.tape import Kernel, Tape, address_of
from gnomon.kernels.team import team


def emit(tape: Tape, op: Kernel, x: np.ndarray, y: np.ndarray, out: np.ndarray, by: float) -> None:
    tape.emit(op, 2, (x, y, out, len(x), 16, 64, 64, by), [x, y], [out])


@pytest.fixture
def arrays() -> list[np.ndarray]:
    return [np.full((8, 16), k, np.float32) for k in range(1, 6)]


def groups(tape: Tape) -> list[list[int]]:
    return tape._groups


def test_operations_on_other_memory_run_side_by_side(arrays: list[np.ndarray]) -> None:
    a, b, c, d, _ = arrays
    tape = Tape()
    emit(tape, add, a, b, c, 0)
    emit(tape, add, a, b, d, 0)
    assert groups(tape) == [[0, 1]]


@pytest.mark.parametrize("hazard", ["read after write", "write after read", "write after write"])
def test_operations_on_the_same_memory_wait(hazard: str, arrays: list[np.ndarray]) -> None:
    a, b, c, d, e = arrays
    tape = Tape()
    emit(tape, add, a, b, c, 0)
    second = {"read after write": (c, d, e), "write after read": (d, e, a)}
    emit(tape, add, *second.get(hazard, (d, e, c)), 0)
    assert groups(tape) == [[0, 0]]


def test_overlap_is_seen_through_views(arrays: list[np.ndarray]) -> None:
    a, b, c, d, _ = arrays
    tape = Tape()
    emit(tape, add, a, b, c, 0)
    emit(tape, scale, c[2:4], c[2:4], d[2:4], 2)
    assert groups(tape) == [[0, 0]]


def test_a_tape_can_be_run_again(arrays: list[np.ndarray]) -> None:
    a, b, c, d, _ = arrays
    tape = Tape()
    emit(tape, add, a, b, c, 0)
    emit(tape, scale, c, c, d, 10)
    tape.run(team(), 2)
    a += 1
    tape.run(team(), 2)
    assert (d == 40).all()


def test_host_functions_run_where_they_were_recorded(arrays: list[np.ndarray]) -> None:
    a, b, c, d, _ = arrays
    tape = Tape()
    emit(tape, add, a, b, c, 0)
    tape.host(lambda: np.multiply(c, 7, out=c))
    emit(tape, scale, c, c, d, 2)
    tape.run(team(), 2)
    assert (d == 42).all()


def test_a_wrong_number_of_arguments_is_refused(arrays: list[np.ndarray]) -> None:
    with pytest.raises(TypeError, match="elementwise_add: 2 arguments, expected x, y, out"):
        add.words((1, 2))


def test_floats_travel_as_float32() -> None:
    words = scale.words((0, 0, 0, 0, 0, 0, 0, 0.1))
    assert words[-1:].view(np.float32)[0] == np.float32(0.1)


@pytest.mark.skipif(DISABLED, reason="nothing is compiled")
def test_a_body_from_elsewhere_is_compiled_anew_when_its_file_changes(tmp_path: Path) -> None:
    file, text = tmp_path / "body.py", "from gnomon.kernels.simd import store_i64\n"
    text += "def body(part, parts, thread, out):\n    store_i64(out, NUMBER)\n"
    for number in (3, 4):
        file.write_text(text.replace("NUMBER", str(number)))
        out = np.zeros(1, np.int64)
        Kernel("test_from_elsewhere", runpy.run_path(str(file))["body"]).run(0, 1, out)
        assert out[0] == number


def test_the_address_is_numpys_own_whatever_the_array_allows() -> None:
    array = np.zeros((4, 6), np.float32)
    closed = np.ones(3)
    closed.flags.writeable = False
    for one in (array, array[1:], array[:, ::2], array[2:, 3:].T, array[:0], closed):
        assert address_of(one) == one.ctypes.data
