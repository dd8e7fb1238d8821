"""Raw GGUF bytes, piece by piece, so that a test can get any one of them wrong."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pytest

TYPE_IDS: Final = {
    "u8": 0,
    "i8": 1,
    "u16": 2,
    "i16": 3,
    "u32": 4,
    "i32": 5,
    "f32": 6,
    "bool": 7,
    "string": 8,
    "array": 9,
    "u64": 10,
    "i64": 11,
    "f64": 12,
}
CODES: Final = dict(zip(TYPE_IDS, "BbHhIif?ssQqd", strict=True))


@dataclass(frozen=True)
class RawGGUF:
    """Writes what it is told to, valid or not; `order` is struct's '<' or '>'."""

    order: str = "<"

    def pack(self, kind: str, value: object) -> bytes:
        """One number of a GGUF value type."""
        return struct.pack(self.order + CODES[kind], value)

    def string(self, text: str | bytes, *, length: int | None = None) -> bytes:
        """A string, with another length than its own if told so."""
        data = text.encode() if isinstance(text, str) else text
        return self.pack("u64", len(data) if length is None else length) + data

    def kv(self, key: str | bytes, type_id: int | str, payload: bytes = b"") -> bytes:
        """One metadata entry; `type_id` is a name or any signed number."""
        number = TYPE_IDS[type_id] if isinstance(type_id, str) else type_id
        return self.string(key) + self.pack("i32", number) + payload

    def number(self, key: str, kind: str, value: object) -> bytes:
        """A metadata entry that holds one number."""
        return self.kv(key, kind, self.pack(kind, value))

    def array(self, type_id: int | str, payload: bytes, count: int) -> bytes:
        """The payload of an array entry."""
        number = TYPE_IDS[type_id] if isinstance(type_id, str) else type_id
        return self.pack("i32", number) + self.pack("u64", count) + payload

    def tensor(
        self,
        name: str | bytes = "t",
        dims: Sequence[int] = (8,),
        type_id: int = 0,
        offset: int = 0,
        *,
        n_dims: int | None = None,
    ) -> bytes:
        """One directory entry; f32[8] at the start of the data unless told otherwise."""
        shape = b"".join(self.pack("u64", dim) for dim in dims)
        n = self.pack("u32", len(dims) if n_dims is None else n_dims)
        place = self.pack("u32", type_id & 0xFFFFFFFF) + self.pack("u64", offset)
        return self.string(name) + n + shape + place

    def file(
        self,
        kvs: Sequence[bytes] = (),
        tensors: Sequence[bytes] = (),
        data: bytes = b"",
        *,
        magic: bytes = b"GGUF",
        version: int = 3,
        n_tensors: int | None = None,
        n_kv: int | None = None,
        alignment: int = 32,
    ) -> bytes:
        """A whole file; the data start at a multiple of `alignment`."""
        head = magic + self.pack("u32", version)
        head += self.pack("u64", len(tensors) if n_tensors is None else n_tensors)
        head += self.pack("u64", len(kvs) if n_kv is None else n_kv)
        head += b"".join(kvs) + b"".join(tensors)
        padding = bytes(-len(head) % alignment) if data else b""
        return head + padding + data


@pytest.fixture
def raw() -> RawGGUF:
    """Builds little-endian files."""
    return RawGGUF()


@pytest.fixture
def raw_big() -> RawGGUF:
    """Builds big-endian files."""
    return RawGGUF(">")
