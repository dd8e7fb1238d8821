"""What the unpackers share: how weights lie in a tile's unit, and codes of 1, 2, 4 and 8 bits.

`codes` are 8 vectors; lane r of vector g holds the unsigned codes of columns 4g..4g+3 of row r,
one byte each: weight = scale * code - minimum, or scale * (code - 128).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._jit import inline
from ..simd import (
    as_f32,
    i32x16,
    isplat,
    load_i32x16,
    rotate_right,
    shift_left,
    shift_right,
    splat,
    to_f32,
    unrolled,
)
from .pack import Field, unit_bytes

CODES = (i32x16,) * 8
LOW4, LOW2, LOW1 = 0x0F0F0F0F, 0x03030303, 0x01010101


def each(byte: int) -> int:
    """The byte in all four of a lane, as int32."""
    return (byte * LOW1 ^ 1 << 31) - (1 << 31)


HIGH4 = each(0xF0)


def held(codes: Any, g: int) -> Any:
    """Vector g where `codes` are the eight vectors."""
    return codes[g]


@dataclass(frozen=True)
class TileFormat:
    """How one weight type lies in a tile and how 32 of its columns are unpacked.

    `unpack(unit address, block) -> (codes, scales, minimums)`; block counts 32 columns within the
    unit; scales and minimums are tuples of one vector (per 32 columns) or two (per 16). Where
    128 is subtracted, `signed`, there are no minimums. `code(codes, g)`, which runs while a kernel
    is compiled, makes vector g of the codes: by default `codes` are all eight, elsewhere they say
    where the vectors lie, and each is made when it is needed. Float types have `columns_of` and no
    codes. `expand` is for what is packed in another layout than the file's.
    """

    name: str
    columns: int
    fields: tuple[Field, ...]
    unpack: Any = None
    code: Any = held
    signed: bool = False
    groups: int = 1
    columns_of: Any = None
    expand: Any = None

    @property
    def unit_bytes(self) -> int:
        """Bytes of one unit: `columns` columns of 16 rows."""
        return unit_bytes(self.fields)

    @property
    def block_bytes(self) -> int:
        """A unit's bytes divided by its blocks of 32 columns, rounded up."""
        return -(-self.unit_bytes * 32 // self.columns)

    @property
    def integer(self) -> bool:
        """Whether the weights are integer codes with scales."""
        return self.unpack is not None

    # --- while a kernel is compiled ---

    def vectors(self, codes: Any) -> list[Any]:
        """All eight vectors of a block's codes."""
        return [self.code(codes, g) for g in range(8)]

    def weight(self, vectors: Any, scales: Any, minimums: Any, column: int) -> Any:
        """One of a block's 32 columns: the product rounded, then the minimum subtracted."""
        code = shift_right(vectors[column >> 2], 8 * (column & 3)) & 255
        if self.signed:
            code = code - 128
        group = column * len(scales) // 32
        product = to_f32(code) * scales[group]
        return product - minimums[group] if minimums else product


def tile_format(name: str, columns: int, *fields: tuple[int, ...], **rest: Any) -> TileFormat:
    """A format whose fields are given as (offset, count, size, flip)."""
    return TileFormat(name, columns, tuple(Field(*field) for field in fields), **rest)


@inline
def negative(x):
    """-x, exact: kernels add what they call a minimum times minus the sum of x."""
    return x * splat(-1.0)


# --- eight vectors at once ------------------------------------------------------------------------


@unrolled(lambda address: CODES)
def split_nibbles(address: Any) -> Any:
    """Four vectors: columns 0..15 in the low nibbles, 16..31 in the high ones."""
    return tuple(nibble((address,), g) for g in range(8))


@unrolled(lambda address: CODES)
def split_high(address: Any) -> Any:
    """The same nibbles as the high ones of each code: 16 times as much."""
    raw = [load_i32x16(address + 64 * g) for g in range(4)]
    return tuple([shift_left(v, 4) & HIGH4 for v in raw] + [v & HIGH4 for v in raw])


@unrolled(lambda address, n, mask: CODES, literal="mask")
def bits(address: Any, n: Any, mask: int) -> Any:
    """Eight vectors: of each code the bits of `mask`, which lie n bits higher (or -n lower)."""
    return tuple(_turned(address + 64 * g, n, mask) for g in range(8))


@unrolled(lambda codes, more: CODES)
def joined(codes: Any, more: Any) -> Any:
    """Codes, and bits that they lack."""
    return tuple(code | bits for code, bits in zip(codes, more, strict=True))


@unrolled(lambda codes, fifth, place: CODES, literal="place")
def add_fifth_bits(codes: Any, fifth: Any, place: int) -> Any:
    """Bit c of `fifth` is bit `place` of column c's code."""
    spread = [spread_bits(shift_right(fifth, 4 * g), place) for g in range(8)]
    return tuple(code | bit for code, bit in zip(codes, spread, strict=True))


def spread_bits(bits: Any, place: int) -> Any:
    """Bits 0..3 of each lane to bit `place` of its bytes: x * 0x204081 puts bit k at bit 8k."""
    return (bits & 15) * (0x00204081 << place) & each(1 << place)


def spread_pairs(codes: Any) -> Any:
    """Bits 2k and 2k + 1 of each lane's lowest byte to its byte k."""
    apart = (codes | shift_left(codes, 12)) & 0x000F000F
    return (apart | shift_left(apart, 6)) & LOW2


# --- one vector when it is needed -----------------------------------------------------------------
# Eight at once fill the registers: with four rows of two tiles others go to memory for them. So
# made, Q6_K takes 25 % less, IQ4_XS 18 %, Q8_0 up to 12 %; Q4_0 takes 3 % more, and is left.


def whole(codes: Any, g: int) -> Any:
    """(address): bytes as they lie."""
    return load_i32x16(codes[0] + 64 * g)


def in_place(codes: Any, g: int) -> Any:
    """(address, mask): the bits of `mask`, a vector, where they lie."""
    return load_i32x16(codes[0] + 64 * g) & codes[1]


@inline
def places(n, width):
    """The mask of `width` bits from bit `n` of each byte on, and 2^-n, their unit."""
    mask = isplat(((1 << width) - 1) * LOW1)
    return shift_left(mask, n), as_f32(shift_left(isplat(127 - n), 23))


def nibble(codes: Any, g: int) -> Any:
    """(address): columns 0..15 in the low nibbles of four vectors, 16..31 in the high ones."""
    raw = load_i32x16(codes[0] + 64 * (g % 4))
    return raw & LOW4 if g < 4 else shift_right(raw, 4) & LOW4


def two_parts(low: int, high: int) -> Any:
    """(address, n, address of the rest, its n): bits of the mask `low`, n higher, and of `high`."""

    def code(codes: Any, g: int) -> Any:
        address, n, rest, m = codes
        return _turned(address + 64 * g, n, low) | _turned(rest + 64 * g, m, high)

    return code


def _turned(address: Any, n: Any, mask: int) -> Any:
    return rotate_right(load_i32x16(address), n) & each(mask)


def looked_up(table: Any, code: Any) -> Any:
    """Each byte of `code` replaced by its entry of `table`."""
    return lambda codes, g: table(code(codes, g))
