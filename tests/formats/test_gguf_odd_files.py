"""Paths that are no files are refused at once; odd but whole files load, some with a note."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.formats.errors import GGUFError
from gnomon.formats.gguf import open_gguf

I8 = 24
MIB = 1 << 20


def with_data(raw: Any, *tensors: bytes, size: int = 64) -> bytes:
    """A file whose tensor data are `size` zeros."""
    made: bytes = raw.file([], tensors, bytes(size))
    return made


def refusal(path: Path) -> GGUFError:
    with pytest.raises(GGUFError) as caught:
        open_gguf(path)
    return caught.value


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.gguf")
    assert (error.field, error.found) == ("file", "No such file or directory")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert (error.found, error.expected) == ("a directory", "a regular file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.gguf")
    assert refusal(tmp_path / "fifo.gguf").found == "a FIFO"


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device here")
def test_a_device_is_refused() -> None:
    assert refusal(Path("/dev/zero")).found == "a device or socket"


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(tmp_path / "gone")
    assert refusal(tmp_path / "model.gguf").found == "No such file or directory"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(tmp_path / "model.gguf")
    assert refusal(tmp_path / "model.gguf").field == "file"


def test_a_path_with_nul_is_refused() -> None:
    assert refusal(Path("model\0.gguf")).field == "file"


ODD_KVS = [
    ("NaN", lambda raw: raw.number("k", "f32", np.nan), "nan"),
    ("infinity", lambda raw: raw.number("k", "f64", -np.inf), "-inf"),
    ("minus zero", lambda raw: raw.number("k", "f32", -0.0), "-0.0"),
    ("empty string", lambda raw: raw.kv("k", "string", raw.string("")), "''"),
    ("string with NUL", lambda raw: raw.kv("k", "string", raw.string("a\0b")), "'a\\x00b'"),
    (
        "array of odd floats",
        lambda raw: raw.kv(
            "k", "array", raw.array("f32", np.array([np.nan, np.inf, -0.0], "<f4").tobytes(), 3)
        ),
        "array([nan, inf, -0.], dtype=float32)",
    ),
    (
        "no strings",
        lambda raw: raw.kv("k", "array", raw.array("string", b"", 0)),
        "[]",
    ),
]


@pytest.mark.parametrize(
    ("build", "value"), [pytest.param(build, value, id=what) for what, build, value in ODD_KVS]
)
def test_an_odd_value_loads(
    build: Callable[[Any], bytes], value: str, raw: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([build(raw)]))
    with open_gguf(path) as file:
        assert repr(file.metadata["k"]) == value


@pytest.mark.parametrize(
    "kind", ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "u64", "i64", "f64"]
)
@pytest.mark.parametrize("last", [True, False], ids=["at the end", "before a key"])
def test_an_array_of_no_numbers_loads(kind: str, last: bool, raw: Any, tmp_path: Path) -> None:
    kvs = [raw.kv("k", "array", raw.array(kind, b"", 0)), raw.number("next", "u8", 7)]
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file(kvs[:1] if last else kvs))
    with open_gguf(path) as file:
        found = file.metadata["k"]
        assert isinstance(found, np.ndarray)
        assert found.shape == (0,)
        assert last or file.metadata["next"] == 7


@pytest.mark.parametrize("alignment", [1, 8, 64, 2**20])
def test_any_power_of_two_aligns(alignment: int, raw: Any, tmp_path: Path) -> None:
    kvs = [raw.number("general.alignment", "u32", alignment)]
    data = bytes(range(20))
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file(kvs, [raw.tensor("t", (5,))], data, alignment=alignment))
    with open_gguf(path) as file:
        assert file.tensors["t"].data.tobytes() == data


@pytest.mark.parametrize("name", ["n" * 63, "a/b", "ä", "with space", "..x"])
def test_a_tensor_name_may_be(name: str, raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(with_data(raw, raw.tensor(name)))
    with open_gguf(path) as file:
        assert list(file.tensors) == [name]


def test_a_key_of_64_kib_loads(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([raw.number("k" * 2**16, "u8", 1)]))
    with open_gguf(path) as file:
        assert list(file.metadata) == ["k" * 2**16]


def test_a_link_loads_under_its_own_name(raw: Any, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(with_data(raw, raw.tensor()))
    (tmp_path / "model.gguf").symlink_to("blob")
    with open_gguf(tmp_path / "model.gguf") as file:
        assert file.path.name == "model.gguf"
        assert list(file.tensors) == ["t"]


def test_a_sparse_file_of_8_gib_loads_in_little_memory(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor("t", (2**33 - 64,), I8)], bytes(1)))
    os.truncate(path, 2**33)
    tracemalloc.start()
    try:
        with open_gguf(path) as file:
            assert file.tensors["t"].data.nbytes == 2**33 - 64
            assert file.tensors["t"].data[-1] == 0
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_gaps_load_with_a_note(raw: Any, tmp_path: Path) -> None:
    tensors = [raw.tensor("a", offset=32), raw.tensor("b", offset=64), raw.tensor("c", offset=160)]
    path = tmp_path / "model.gguf"
    path.write_bytes(with_data(raw, *tensors, size=192))
    with open_gguf(path) as file:
        assert file.notes == ["model.gguf: 2 gaps of 96 bytes, the first before 'a'"]


def test_trailing_bytes_load_with_a_note(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(with_data(raw, raw.tensor(), size=32 + 7))
    with open_gguf(path) as file:
        assert file.notes == ["model.gguf: 7 bytes after the last tensor"]


def test_the_last_tensor_needs_no_padding(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(with_data(raw, raw.tensor("t", (5,)), size=20))
    with open_gguf(path) as file:
        assert file.tensors["t"].data.nbytes == 20
        assert file.notes == []


def test_a_file_of_metadata_alone_may_end_unaligned(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([raw.number("k", "u8", 1)]))
    with open_gguf(path) as file:
        assert (dict(file.metadata), file.tensors, file.notes) == ({"k": 1}, {}, [])


def test_a_file_of_nothing_but_a_header_loads(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file())
    with open_gguf(path) as file:
        assert (len(file.metadata), file.tensors) == (0, {})
