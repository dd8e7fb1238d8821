"""What the unpackers share: how weights lie in a tile's unit, and codes of 1, 2, 4 and 8 bits.

`codes` are 8 vectors; lane r of vector g holds the unsigned codes of columns 4g..4g+3 of row r,
one byte each: weight = scale * code - minimum, or scale * (code - 2^shift).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numba import types

from .._jit import inline
from ..simd import i32x16, load_i32x16, shift_left, shift_right, splat, unrolled
from .pack import Field, unit_bytes

CODES = types.UniTuple(i32x16, 8)
LOW4, LOW2, LOW1 = 0x0F0F0F0F, 0x03030303, 0x01010101


@dataclass(frozen=True)
class TileFormat:
    """How one weight type lies in a tile and how 32 of its columns are unpacked.

    `unpack(unit address, block) -> (codes, scales, minimums)`; block counts 32 columns within the
    unit; scales and minimums are tuples of one vector (per 32 columns) or two (per 16). `shift` is
    None where a minimum is subtracted instead. Float types have `columns_of` and no codes.
    `expand` is for codebooks.
    """

    name: str
    columns: int
    fields: tuple[Field, ...]
    unpack: Any = None
    shift: int | None = None
    groups: int = 1
    columns_of: Any = None
    expand: Any = None

    @property
    def unit_bytes(self) -> int:
        """Bytes of one unit: `columns` columns of 16 rows."""
        return unit_bytes(self.fields)

    @property
    def integer(self) -> bool:
        """Whether the weights are integer codes with scales."""
        return self.unpack is not None


def tile_format(name: str, columns: int, *fields: tuple[int, ...], **rest: Any) -> TileFormat:
    """A format whose fields are given as (offset, count, size, flip)."""
    return TileFormat(name, columns, tuple(Field(*field) for field in fields), **rest)


@inline
def negative(x):
    """-x, exact: kernels add what they call a minimum times minus the sum of x."""
    return x * splat(-1.0)


@unrolled(lambda address: CODES)
def load_codes(address: Any) -> Any:
    """Eight vectors as they lie."""
    return tuple(load_i32x16(address + 64 * g) for g in range(8))


@unrolled(lambda address: CODES)
def split_nibbles(address: Any) -> Any:
    """Four vectors: columns 0..15 in the low nibbles, 16..31 in the high ones."""
    raw = [load_i32x16(address + 64 * g) for g in range(4)]
    return tuple([v & LOW4 for v in raw] + [shift_right(v, 4) & LOW4 for v in raw])


@unrolled(lambda address, shift: CODES)
def nibbles(address: Any, shift: Any) -> Any:
    """Eight vectors: 32 columns in the nibbles that start at bit `shift`."""
    return tuple(shift_right(load_i32x16(address + 64 * g), shift) & LOW4 for g in range(8))


@unrolled(lambda address, shift: CODES)
def pairs(address: Any, shift: Any) -> Any:
    """Eight vectors: 32 columns in the pairs of bits that start at bit `shift`."""
    return tuple(shift_right(load_i32x16(address + 64 * g), shift) & LOW2 for g in range(8))


@unrolled(lambda codes, address, shift: CODES)
def add_top_pairs(codes: Any, address: Any, shift: Any) -> Any:
    """Two bits per column, from bit `shift` of eight vectors, are bits 4 and 5 of its code."""
    top = [shift_right(load_i32x16(address + 64 * g), shift) & LOW2 for g in range(8)]
    return tuple(code | shift_left(pair, 4) for code, pair in zip(codes, top, strict=True))


@unrolled(lambda codes, address, shift, place: CODES, literal="place")
def add_plane(codes: Any, address: Any, shift: Any, place: int) -> Any:
    """One bit per column, bit `shift` of eight vectors, is bit `place` of its code."""
    top = [shift_right(load_i32x16(address + 64 * g), shift) & LOW1 for g in range(8)]
    return tuple(code | shift_left(bit, place) for code, bit in zip(codes, top, strict=True))


@unrolled(lambda codes, bits: CODES)
def add_fifth_bits(codes: Any, bits: Any) -> Any:
    """Bit c of `bits` is bit 4 of column c's code."""
    spread = [spread_bits(shift_right(bits, 4 * g)) for g in range(8)]
    return tuple(code | shift_left(bit, 4) for code, bit in zip(codes, spread, strict=True))


def spread_bits(bits: Any) -> Any:
    """Bits 0..3 of each lane to bit 0 of its four bytes: x * 0x204081 puts bit k at bit 8k."""
    return (bits & 15) * 0x00204081 & LOW1


def spread_pairs(codes: Any) -> Any:
    """Bits 2k and 2k + 1 of each lane's lowest byte to its byte k."""
    apart = (codes | shift_left(codes, 12)) & 0x000F000F
    return (apart | shift_left(apart, 6)) & LOW2
