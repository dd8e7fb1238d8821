"""Files made to hurt a reader: each is refused by one error that says where, in little memory.

The list follows the known attacks on GGUF readers (Talos 2024, the handcrafted files of llama.cpp's
test-gguf, AFL finds) in the order header, keys, values, alignment, tensors.
"""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gnomon.formats.cursor import Limits
from gnomon.formats.errors import GGUFError
from gnomon.formats.gguf import open_gguf

I8, I64, Q4_0 = 24, 27, 2
MIB = 1 << 20

# Each case: what is wrong, how to build it, and the field that the error must name.
Build = Callable[[Any], bytes]
Case = tuple[str, Build, str]


def data_file(raw: Any, *tensors: bytes, size: int = 64, **options: int) -> bytes:
    """A file whose tensor data are `size` zeros."""
    made: bytes = raw.file([], tensors, bytes(size), **options)
    return made


HEADER: list[Case] = [
    ("empty", lambda raw: b"", "header"),
    *[(f"first {n} bytes", lambda raw, n=n: raw.file()[:n], "header") for n in range(1, 24)],
    ("magic swapped", lambda raw: raw.file(magic=b"FUGG"), "magic"),
    ("magic of zip", lambda raw: raw.file(magic=b"PK\3\4"), "magic"),
    ("version 0", lambda raw: raw.file(version=0), "version"),
    ("version 1", lambda raw: raw.file(version=1), "version"),
    ("version 4", lambda raw: raw.file(version=4), "version"),
    ("version 2^32-1", lambda raw: raw.file(version=2**32 - 1), "version"),
    ("version 3 in the high half", lambda raw: raw.file(version=3 << 16), "version"),
    ("version 1 in the high half", lambda raw: raw.file(version=1 << 16), "version"),
    ("n_tensors 2^63", lambda raw: raw.file(n_tensors=2**63), "n_tensors"),
    ("n_tensors 2^64-1", lambda raw: raw.file(n_tensors=2**64 - 1), "n_tensors"),
    ("n_tensors 1, no bytes", lambda raw: raw.file(n_tensors=1), "n_tensors"),
    ("n_kv 2^63", lambda raw: raw.file(n_kv=2**63), "n_kv"),
    ("n_kv 2^64-1", lambda raw: raw.file(n_kv=2**64 - 1), "n_kv"),
    (
        "n_kv one more than could fit",
        lambda raw: raw.file([raw.number("a", "u8", 1)], n_kv=2),
        "n_kv",
    ),
    (
        "n_kv possible, file ends",
        lambda raw: raw.file([raw.kv("a", "string", raw.string("x" * 99))], n_kv=2),
        "key 1 length",
    ),
    (
        "n_tensors possible, file ends",
        lambda raw: raw.file([raw.kv("a", "string", raw.string("x" * 99))], n_tensors=1),
        "tensor 0 name length",
    ),
]


def key_file(raw: Any, key: str | bytes) -> bytes:
    """A file with one u8 under `key`."""
    made: bytes = raw.file([raw.kv(key, "u8", b"\1")])
    return made


KEYS: list[Case] = [
    (
        "length 2^64-1",
        lambda raw: raw.file([raw.string("k" * 40, length=2**64 - 1)]),
        "key 0 length",
    ),
    ("length 2^63", lambda raw: raw.file([raw.string("k" * 40, length=2**63)]), "key 0 length"),
    ("length one past the end", lambda raw: raw.file([raw.string("k" * 40, length=41)]), "key 0"),
    ("64 KiB + 1", lambda raw: key_file(raw, "k" * (2**16 + 1)), "key 0 length"),
    ("empty", lambda raw: raw.file([raw.number("", "u64", 1)]), "key 0"),
    (
        "duplicate",
        lambda raw: raw.file([raw.number("a", "u8", 1), raw.number("a", "u8", 2)]),
        "key 1",
    ),
    ("NUL", lambda raw: key_file(raw, "a\0b"), "key 0"),
    ("newline", lambda raw: key_file(raw, "a\nb"), "key 0"),
    ("escape", lambda raw: key_file(raw, "\x1b[2J"), "key 0"),
    ("right-to-left override", lambda raw: key_file(raw, "a\u202eb"), "key 0"),
    ("invalid UTF-8", lambda raw: key_file(raw, b"a\xff"), "key 0"),
    ("overlong UTF-8", lambda raw: key_file(raw, b"a\xc0\xaf"), "key 0"),
    ("type 13", lambda raw: raw.file([raw.kv("k", 13, bytes(8))]), "k type"),
    ("type 255", lambda raw: raw.file([raw.kv("k", 255, bytes(8))]), "k type"),
    ("type -1", lambda raw: raw.file([raw.kv("k", -1, bytes(8))]), "k type"),
    ("bool 2", lambda raw: raw.file([raw.kv("k", "bool", b"\2")]), "k"),
    ("bool 255", lambda raw: raw.file([raw.kv("k", "bool", b"\xff")]), "k"),
]


def array_file(raw: Any, type_id: int | str, payload: bytes, count: int) -> bytes:
    """A file with one array."""
    made: bytes = raw.file([raw.kv("k", "array", raw.array(type_id, payload, count))])
    return made


def nested_file(raw: Any, depth: int) -> bytes:
    """An array of arrays of arrays, `depth` deep, around one u8."""
    payload = raw.array("u8", b"\1", 1)
    for _ in range(depth - 1):
        payload = raw.array("array", payload, 1)
    made: bytes = raw.file([raw.kv("k", "array", payload)])
    return made


VALUES: list[Case] = [
    (
        "string length 2^64-1",
        lambda raw: raw.file([raw.kv("k", "string", raw.string("", length=2**64 - 1))]),
        "k length",
    ),
    (
        "string of 1 GiB in a small file",
        lambda raw: raw.file([raw.kv("k", "string", raw.string("x", length=2**30))]),
        "k length",
    ),
    (
        "string of 16 MiB in a small file",
        lambda raw: raw.file([raw.kv("k", "string", raw.string("x", length=2**24))]),
        "k",
    ),
    (
        "string one past the end",
        lambda raw: raw.file([raw.kv("k", "string", raw.string("x", length=2))]),
        "k",
    ),
    (
        "string of invalid UTF-8",
        lambda raw: raw.file([raw.kv("k", "string", raw.string(b"ab\xe4c"))]),
        "k",
    ),
    (
        "string of an encoded surrogate",
        lambda raw: raw.file([raw.kv("k", "string", raw.string(b"\xed\xa0\x80"))]),
        "k",
    ),
    ("number cut short", lambda raw: raw.file([raw.number("k", "u64", 1)[:-1]]), "k"),
    ("array count 2^61 of u64", lambda raw: array_file(raw, "u64", bytes(16), 2**61), "k count"),
    ("array count 2^64-1", lambda raw: array_file(raw, "u8", bytes(16), 2**64 - 1), "k count"),
    ("array count one too many", lambda raw: array_file(raw, "u32", bytes(12), 4), "k count"),
    ("array of 2^30 bools", lambda raw: array_file(raw, "bool", b"\1", 2**30), "k count"),
    ("array of strings, 2^61", lambda raw: array_file(raw, "string", bytes(16), 2**61), "k count"),
    (
        "array of strings, one too many",
        lambda raw: array_file(raw, "string", raw.string("x" * 30), 2),
        "k[1] length",
    ),
    (
        "array of strings, second too long",
        lambda raw: array_file(
            raw, "string", raw.string("a") + raw.string("b" * 30, length=2**64 - 1), 2
        ),
        "k[1] length",
    ),
    (
        "array of strings, second past the end",
        lambda raw: array_file(raw, "string", raw.string("a") + raw.string("b", length=2), 2),
        "k[1]",
    ),
    (
        "array of strings, second not UTF-8",
        lambda raw: array_file(raw, "string", raw.string("a") + raw.string(b"\xff"), 2),
        "k[1]",
    ),
    ("array of type 13", lambda raw: array_file(raw, 13, bytes(16), 2), "k element type"),
    ("array of type -1", lambda raw: array_file(raw, -1, bytes(16), 2), "k element type"),
    ("array of type 13, none", lambda raw: array_file(raw, 13, b"", 0), "k element type"),
    ("array of bools with a 2", lambda raw: array_file(raw, "bool", b"\0\1\2", 3), "k"),
    ("arrays 2 deep", lambda raw: nested_file(raw, 2), "k element type"),
    ("arrays 5 deep", lambda raw: nested_file(raw, 5), "k element type"),
    ("arrays 1000 deep", lambda raw: nested_file(raw, 1000), "k element type"),
]


def aligned_file(raw: Any, kind: str, value: object) -> bytes:
    """A file that states its alignment as any kind of number."""
    made: bytes = raw.file([raw.number("general.alignment", kind, value)])
    return made


ALIGNMENT: list[Case] = [
    *[
        (str(value), lambda raw, value=value: aligned_file(raw, "u32", value), "general.alignment")
        for value in (0, 3, 12, 13, 2**21, 2**30, 2**31, 2**32 - 1)
    ],
    *[
        (
            f"of type {kind}",
            lambda raw, kind=kind: aligned_file(raw, kind, 32),
            "general.alignment type",
        )
        for kind in ("u64", "i32", "u16", "f32")
    ],
    (
        "of type string",
        lambda raw: raw.file([raw.kv("general.alignment", "string", raw.string("32"))]),
        "general.alignment type",
    ),
    (
        "of type array",
        lambda raw: raw.file([raw.kv("general.alignment", "array", raw.array("u32", bytes(4), 1))]),
        "general.alignment type",
    ),
    (
        "other than the offsets'",
        lambda raw: data_file(raw, raw.tensor("a", (2,)), raw.tensor("b", (2,), offset=8)),
        "tensor 'b' offset",
    ),
]


def named_file(raw: Any, name: str | bytes) -> bytes:
    """A file with one tensor of this name."""
    return data_file(raw, raw.tensor(name))


def dims_file(raw: Any, dims: list[int], type_id: int = 0, n_dims: int | None = None) -> bytes:
    """A file with one tensor 't' of these dims."""
    return data_file(raw, raw.tensor("t", dims, type_id, n_dims=n_dims))


def two_offsets_file(raw: Any, first: int, second: int) -> bytes:
    """A file with tensors 'a' and 'b', each f32[8], at these places in 64 bytes of data."""
    return data_file(raw, raw.tensor("a", offset=first), raw.tensor("b", offset=second))


TENSORS: list[Case] = [
    ("name of 64 bytes", lambda raw: named_file(raw, "n" * 64), "tensor 0 name length"),
    (
        "name length 2^64-1",
        lambda raw: data_file(raw, raw.string("n", length=2**64 - 1) + bytes(33), n_tensors=1),
        "tensor 0 name length",
    ),
    ("name empty", lambda raw: named_file(raw, ""), "tensor 0 name"),
    (
        "name twice",
        lambda raw: data_file(raw, raw.tensor("t"), raw.tensor("t", offset=32)),
        "tensor 1 name",
    ),
    ("name ../x", lambda raw: named_file(raw, "../x"), "tensor 0 name"),
    ("name ..\\x", lambda raw: named_file(raw, "..\\x"), "tensor 0 name"),
    ("name ..", lambda raw: named_file(raw, ".."), "tensor 0 name"),
    ("name /x", lambda raw: named_file(raw, "/x"), "tensor 0 name"),
    ("name a/../../x", lambda raw: named_file(raw, "a/../../x"), "tensor 0 name"),
    ("name with NUL", lambda raw: named_file(raw, "a\0b"), "tensor 0 name"),
    ("name with invalid UTF-8", lambda raw: named_file(raw, b"a\xff"), "tensor 0 name"),
    ("name right to left", lambda raw: named_file(raw, "a\u202eb"), "tensor 0 name"),
    ("n_dims 0", lambda raw: dims_file(raw, [8], n_dims=0), "tensor 't' n_dims"),
    ("n_dims 5", lambda raw: dims_file(raw, [1] * 5), "tensor 't' n_dims"),
    ("n_dims 2^32-1", lambda raw: dims_file(raw, [8], n_dims=2**32 - 1), "tensor 't' n_dims"),
    ("only dim 0", lambda raw: dims_file(raw, [0]), "tensor 't' dims[0]"),
    ("second dim 0", lambda raw: dims_file(raw, [8, 0]), "tensor 't' dims[1]"),
    ("block rows of 0", lambda raw: dims_file(raw, [0, 8], Q4_0), "tensor 't' dims[0]"),
    ("dim -1", lambda raw: dims_file(raw, [2**64 - 1]), "tensor 't' dims[0]"),
    ("dim -2^63", lambda raw: dims_file(raw, [2**63]), "tensor 't' dims[0]"),
    ("two dims -1", lambda raw: dims_file(raw, [2**64 - 1] * 2), "tensor 't' dims[0]"),
    ("product 2^64, wraps to 0", lambda raw: dims_file(raw, [2**32, 2**32]), "tensor 't' dims"),
    (
        "product 2^64 + 8, wraps to 8",
        lambda raw: dims_file(raw, [8, 2305843009213693953]),
        "tensor 't' dims",
    ),
    ("product 2^63", lambda raw: dims_file(raw, [2**21] * 3), "tensor 't' dims"),
    ("four dims of 2^63-1", lambda raw: dims_file(raw, [2**63 - 1] * 4), "tensor 't' dims"),
    ("product fits, bytes 2^64", lambda raw: dims_file(raw, [2**61], I64), "tensor 't' size"),
    (
        "product fits, bytes wrap to 8",
        lambda raw: dims_file(raw, [2**61 + 1], I64),
        "tensor 't' size",
    ),
    (
        "padding wraps",
        lambda raw: dims_file(raw, [4, 2**30 - 1, 2**30 + 1]),
        "tensor 't' size",
    ),
    ("2^63-1 bytes", lambda raw: dims_file(raw, [2**63 - 1], I8), "tensor 't' offset"),
    (
        "sizes that add up past 2^64",
        lambda raw: data_file(
            raw,
            raw.tensor("a", (2**63 - 64,), I8),
            raw.tensor("b", (2**63 - 64,), I8, 2**63 - 64),
        ),
        "tensor 'a' offset",
    ),
    *[
        (f"type {type_id}", lambda raw, t=type_id: dims_file(raw, [32], t), "tensor 't' type")
        for type_id in (-1, 4, 5, 31, 32, 33, 36, 37, 38, 43, 255, 2**31)
    ],
    ("row of half a block", lambda raw: dims_file(raw, [16, 2], Q4_0), "tensor 't' type"),
    ("row of 33 of 32", lambda raw: dims_file(raw, [33], Q4_0), "tensor 't' type"),
    ("row of a super-block less 1", lambda raw: dims_file(raw, [255], 12), "tensor 't' type"),
    ("offset misaligned", lambda raw: two_offsets_file(raw, 0, 33), "tensor 'b' offset"),
    ("same offset", lambda raw: two_offsets_file(raw, 0, 0), "tensor 'b' offset"),
    (
        "overlap",
        lambda raw: data_file(raw, raw.tensor("a", (12,)), raw.tensor("b", offset=32)),
        "tensor 'b' offset",
    ),
    ("offsets go back", lambda raw: two_offsets_file(raw, 32, 0), "tensor 'b' offset"),
    ("offset at the end", lambda raw: two_offsets_file(raw, 0, 64), "tensor 'b' offset"),
    ("offset past the end", lambda raw: two_offsets_file(raw, 0, 2**40), "tensor 'b' offset"),
    ("offset wraps", lambda raw: two_offsets_file(raw, 0, 2**64 - 32), "tensor 'b' offset"),
    ("no data", lambda raw: data_file(raw, raw.tensor(), size=0), "tensor 't' offset"),
    ("data less 1 byte", lambda raw: data_file(raw, raw.tensor(), size=31), "tensor 't' offset"),
    (
        "entry cut short",
        lambda raw: raw.file([], [raw.tensor("t" * 20)[:-1]]),
        "tensor 'tttttttttttttttttttt' offset",
    ),
]


GROUPS = {
    "header": HEADER,
    "key": KEYS,
    "value": VALUES,
    "alignment": ALIGNMENT,
    "tensor": TENSORS,
}
REFUSED = [
    pytest.param(build, field, id=f"{group}: {what}")
    for group, cases in GROUPS.items()
    for what, build, field in cases
]


def refusal(path: Path, limits: Limits | None = None) -> tuple[GGUFError, int]:
    """The error for `path`, and the peak of memory that Python and NumPy took for it."""
    tracemalloc.start()
    try:
        with pytest.raises(GGUFError) as caught:
            open_gguf(path, limits=limits or Limits())
        return caught.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("build", "field"), REFUSED)
def test_it_is_refused_by_an_error_that_says_where(
    build: Build, field: str, raw: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(build(raw))
    error, peak = refusal(path)
    assert error.field == field
    assert error.offset is not None
    assert 0 <= error.offset <= path.stat().st_size
    assert str(error) == (
        f"{path}: {field} at byte {error.offset}: found {error.found}, expected {error.expected}"
    )
    assert peak < MIB


def test_an_error_gives_the_exact_place_and_values(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([raw.kv("k", "array", raw.array("bool", b"\0\1\7", 3))]))
    error, _ = refusal(path)
    # 24 header, 8 + 1 key, 4 type, 4 element type, 8 count, then the third byte.
    assert (error.field, error.offset) == ("k", 24 + 9 + 4 + 12 + 2)
    assert (error.found, error.expected) == ("the byte 7", "0 or 1 for a bool")


def test_a_removed_type_is_called_by_its_name(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(dims_file(raw, [32], 31))
    assert "31 (q4_0_4_4, removed from ggml)" in str(refusal(path)[0])


@pytest.mark.parametrize("size", [25, 40, 60, 87, 88, 100, 127, 140, 159])
def test_a_file_cut_before_the_end_of_its_last_tensor_is_refused(
    size: int, raw: Any, tmp_path: Path
) -> None:
    whole = raw.file([raw.number("a.b", "f64", 1.0)], [raw.tensor("t", (8, 2))], bytes(64))
    assert len(whole) == 160
    path = tmp_path / "model.gguf"
    path.write_bytes(whole[:size])
    refusal(path)


def sparse(path: Path, head: bytes, size: int) -> None:
    """Write `head` and let zeros, which take no disk, follow up to `size`."""
    path.write_bytes(head)
    os.truncate(path, size)


# These declare nothing that the sparse file does not hold: only the limits stop them.
BEYOND_LIMITS: list[Case] = [
    (
        "string of 16 MiB + 1",
        lambda raw: raw.kv("k", "string", raw.pack("u64", 2**24 + 1)),
        "k length",
    ),
    *[
        (
            f"array of {count} {kind}",
            lambda raw, kind=kind, count=count: raw.kv("k", "array", raw.array(kind, b"", count)),
            "k count",
        )
        for kind, count in (
            ("bool", 2**26 + 1),
            ("bool", 2**30),
            ("u64", 2**26),
            ("string", 2**26),
        )
    ],
]


@pytest.mark.parametrize(
    ("build", "field"), [pytest.param(b, f, id=what) for what, b, f in BEYOND_LIMITS]
)
def test_a_sparse_file_that_holds_what_it_declares_meets_the_limits(
    build: Build, field: str, raw: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    sparse(path, raw.file([build(raw)]), 2**32)
    error, peak = refusal(path)
    assert error.field == field
    assert peak < MIB


@pytest.mark.parametrize("field", ["n_tensors", "n_kv"])
def test_a_sparse_file_cannot_hold_more_entries_than_the_limit(
    field: str, raw: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    sparse(path, raw.file(**{field: 2**20 + 1}), 2**32)
    error, peak = refusal(path)
    assert error.field == field
    assert peak < MIB


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (Limits(string=4), "text length"),
        (Limits(key=3), "key 0 length"),
        (Limits(array=2), "list count"),
        (Limits(kv=2), "n_kv"),
        (Limits(tensors=0), "n_tensors"),
        (Limits(alignment=32), "general.alignment"),
        (Limits(header=107), "list[2]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit_can_be_set(limits: Limits, field: str, raw: Any, tmp_path: Path) -> None:
    strings = raw.string("a") + raw.string("b") + raw.string("c")
    kvs = [
        raw.kv("text", "string", raw.string("hello")),
        raw.kv("list", "array", raw.array("string", strings, 3)),
        raw.number("general.alignment", "u32", 64),
    ]
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file(kvs, [raw.tensor()], bytes(64), alignment=64))
    open_gguf(path).close()
    assert refusal(path, limits)[0].field == field


def test_a_long_key_is_cut_in_the_message(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([raw.kv("k" * 2**16, 13, bytes(8))]))
    message = str(refusal(path)[0]).removeprefix(str(path))
    assert len(message) < 250


def test_a_refused_file_is_no_longer_open(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(dims_file(raw, [0]))
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc here")
    refusal(path)
    assert str(path) not in maps.read_text()
