"""Safetensors files: what is read, and what a hostile header is told."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.formats.errors import SafetensorsError
from gnomon.formats.safetensors import open_safetensors

ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def write(path: Path, header: Any, data: bytes = bytes(24), size: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if size is None else size) + text + data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def test_a_tensor_is_read(path: Path) -> None:
    values = np.arange(6, dtype=np.float32)
    found = open_safetensors(write(path, {"a": ENTRY}, values.tobytes()))["a"]
    assert np.array_equal(found.float32(), values.reshape(2, 3))


def test_rows_are_read_alone(path: Path) -> None:
    values = np.arange(6, dtype=np.float32)
    found = open_safetensors(write(path, {"a": ENTRY}, values.tobytes()))["a"]
    assert found.float32(1, 2).tolist() == [[3, 4, 5]]


def test_bfloat16_is_the_upper_half_of_float32(path: Path) -> None:
    values = np.array([1.5, -2.0, 0.0078125], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    entry = {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}
    assert (
        open_safetensors(write(path, {"a": entry}, data))["a"].float32().tolist() == values.tolist()
    )


def test_numbers_may_lie_anywhere(path: Path) -> None:
    entries = {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    entries["b"] = {"dtype": "F32", "shape": [], "data_offsets": [1, 5]}
    found = open_safetensors(write(path, entries, b"\x01" + struct.pack("<f", 2.5)))
    assert float(found["b"].float32()) == 2.5


def test_metadata_is_no_tensor(path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": ENTRY}
    assert list(open_safetensors(write(path, header))) == ["a"]


def test_a_file_without_tensors_is_read(path: Path) -> None:
    assert open_safetensors(write(path, {}, b"")) == {}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"no json", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([1, 2], "the header is list"),
        ({"a": 3}, "a: dtype None"),
        ({"a": ENTRY | {"dtype": "F7"}}, "dtype 'F7', expected one of F64, F32"),
        ({"a": ENTRY | {"shape": [-2, 3]}}, r"shape \[-2, 3\]"),
        ({"a": ENTRY | {"shape": [1] * 9}}, "expected up to 8 whole numbers"),
        ({"a": ENTRY | {"shape": [True, 3]}}, r"shape \[True, 3\]"),
        ({"a": ENTRY | {"shape": [1 << 62, 1 << 62]}}, "expected .* bytes"),
        ({"a": ENTRY | {"data_offsets": [8, 32]}}, "the data has 24 bytes"),
        ({"a": ENTRY | {"data_offsets": [24, 0]}}, "expected 24 bytes"),
        ({"a": ENTRY | {"data_offsets": [0, 20]}}, "expected 24 bytes"),
        ({"a": ENTRY | {"data_offsets": "x"}}, "offsets 'x'"),
    ],
)
def test_a_wrong_header_is_named(header: Any, message: str, path: Path) -> None:
    with pytest.raises(SafetensorsError, match=message):
        open_safetensors(write(path, header))


@pytest.mark.parametrize("size", [0, 1 << 20, 1 << 63])
def test_a_header_beyond_the_file_is_refused(size: int, path: Path) -> None:
    with pytest.raises(SafetensorsError, match="header of"):
        open_safetensors(write(path, {"a": ENTRY}, size=size))


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(SafetensorsError, match="header of 0 bytes"):
        open_safetensors(path)
