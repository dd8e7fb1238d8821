"""Random damage: whatever is changed in a file, it loads or is refused with a GGUFError."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.formats.errors import GGUFError
from gnomon.formats.gguf import open_gguf

ROUNDS = 60
EXTREMES = [0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**61, 2**63 - 1, 2**63, 2**64 - 1]


def whole_file(raw: Any) -> bytes:
    """Every value type, an array of each, and tensors of four types."""
    numbers = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "u64", "i64", "f64"]
    kvs = [raw.number(f"a.{kind}", kind, 1) for kind in numbers]
    kvs += [
        raw.kv(f"b.{kind}", "array", raw.array(kind, raw.pack(kind, 1) * 3, 3)) for kind in numbers
    ]
    kvs += [
        raw.kv("c", "string", raw.string("text")),
        raw.kv("d", "array", raw.array("string", raw.string("x") + raw.string("世界"), 2)),
        raw.number("general.alignment", "u32", 32),
    ]
    tensors = [
        raw.tensor("f32", (4, 2)),
        raw.tensor("q4_0", (32, 3), 2, 32),
        raw.tensor("q6_k", (256,), 14, 96),
        raw.tensor("i8", (2, 2, 2, 2), 24, 320),
    ]
    made: bytes = raw.file(kvs, tensors, bytes(range(256)) + bytes(96))
    return made


def flip(data: bytearray, rng: np.random.Generator) -> None:
    """Change one to eight bytes anywhere in front of the data."""
    for place in rng.integers(0, len(data) - 352, rng.integers(1, 9)):
        data[place] = rng.integers(256)


def cut(data: bytearray, rng: np.random.Generator) -> None:
    """Drop the end."""
    del data[rng.integers(len(data)) :]


def remove(data: bytearray, rng: np.random.Generator) -> None:
    """Take a few bytes out."""
    place = rng.integers(len(data))
    del data[place : place + rng.integers(1, 20)]


def overwrite(data: bytearray, rng: np.random.Generator) -> None:
    """Put an extreme length somewhere."""
    place = int(rng.integers(8, len(data) - 8))
    extreme = EXTREMES[rng.integers(len(EXTREMES))]
    data[place : place + 8] = extreme.to_bytes(8, "little" if rng.integers(2) else "big")


def repeat(data: bytearray, rng: np.random.Generator) -> None:
    """Copy a piece to another place."""
    start, place = rng.integers(len(data), size=2)
    data[place:place] = data[start : start + rng.integers(1, 64)]


@pytest.mark.parametrize("damage", [flip, cut, remove, overwrite, repeat])
@pytest.mark.parametrize("byte_order", ["raw", "raw_big"])
def test_a_damaged_file_loads_or_is_refused(
    damage: Any, byte_order: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole = whole_file(request.getfixturevalue(byte_order))
    rng = np.random.default_rng(20240131)
    path = tmp_path / "model.gguf"
    refused = 0
    for _ in range(ROUNDS):
        data = bytearray(whole)
        damage(data, rng)
        path.write_bytes(data)
        try:
            with open_gguf(path) as file:
                # Reading the last byte of each tensor would fault if its range were wrong.
                sum(int(tensor.data[-1]) for tensor in file.tensors.values())
        except GGUFError:
            refused += 1
    assert 0 < refused <= ROUNDS


@pytest.mark.parametrize("byte_order", ["raw", "raw_big"])
def test_the_undamaged_file_loads(
    byte_order: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(whole_file(request.getfixturevalue(byte_order)))
    with open_gguf(path) as file:
        assert (len(file.metadata), len(file.tensors), file.notes) == (25, 4, [])
