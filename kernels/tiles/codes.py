"""What the unpackers share: how weights lie in a tile's unit, and codes of 1, 2, 4 and 8 bits.

`codes` are 8 vectors; lane r of vector g holds the unsigned codes of columns 4g..4g+3 of row r,
one byte each: weight = scale * code - minimum, or scale * (code - 128).

Where products are summed in pairs (`dots.py`) codes must be small: they are divided by a power of
two that all codes of the type have, 2^lift, and the sums of their products are multiplied by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._jit import inline
from ..isa import NARROW, PAIRS
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
LOW2, LOW1 = 0x03030303, 0x01010101


def each(byte: int) -> int:
    """The byte in all four of a lane, as int32."""
    return (byte * LOW1 ^ 1 << 31) - (1 << 31)


def raised(lift: int) -> int:
    """How many bits higher than at the bottom of their bytes a type's codes lie."""
    return 0 if PAIRS else lift


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
    where the vectors lie, and each is made when it is needed, or all `at_once` before the first.
    In pairs codes are at most `top`; 2^lift is what they are divided by there. `interleaved` blocks
    lie in the same bytes; `in_order` says that blocks read a unit from its start to its end. Float
    types have `column(unit, c)`, likewise, and no codes. `expand` is for what is packed in another
    layout than the file's.
    """

    name: str
    columns: int
    fields: tuple[Field, ...]
    unpack: Any = None
    code: Any = held
    at_once: bool = False
    top: int = 255
    lift: int = 0
    signed: bool = False
    groups: int = 1
    interleaved: int = 1
    in_order: bool = False
    column: Any = None
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

    @property
    def place(self) -> Any:
        """place(unit, block): what `reader` takes, callable in kernels."""
        return self.unpack if self.integer else inline(lambda unit, block: (unit,))

    # --- while a kernel is compiled ---

    def vector(self, codes: Any, g: int) -> Any:
        """Vector g of a block's codes, as they are multiplied by the scales."""
        return shift_left(self.code(codes, g), self.lift - raised(self.lift))

    def weight(self, vector: Any, scales: Any, minimums: Any, column: int) -> Any:
        """One of the four columns of a vector: the product rounded, then the minimum subtracted."""
        code = shift_right(vector, 8 * (column & 3)) & 255
        if self.signed:
            code = code - 128
        group = column * len(scales) // 32
        product = to_f32(code) * scales[group]
        return product - minimums[group] if minimums else product

    def reader(self, place: Any) -> Any:
        """read(c): the weights of a block's columns, one after the other."""
        if not self.integer:
            return lambda c: self.column(place[0], c)
        codes, scales, minimums = place
        last: dict[int, Any] = {}

        def read(c: int) -> Any:
            if c >> 2 not in last:
                last.clear()
                last[c >> 2] = self.vector(codes, c >> 2)
            return self.weight(last[c >> 2], scales, minimums, c)

        return read


def tile_format(name: str, columns: int, *fields: tuple[int, ...], **rest: Any) -> TileFormat:
    """A format whose fields are given as (offset, count, size, flip)."""
    return TileFormat(name, columns, tuple(Field(*field) for field in fields), **rest)


@inline
def negative(x):
    """-x, exact: kernels add what they call a minimum times minus the sum of x."""
    return x * splat(-1.0)


# --- eight vectors at once ------------------------------------------------------------------------


@unrolled(lambda address, n, width, place: CODES, literal="width place")
def bits(address: Any, n: Any, width: int, place: int) -> Any:
    """Eight vectors: `width` bits from bit n of each byte on, moved to bit `place`."""
    return tuple(_moved(address + 64 * g, n, width, place) for g in range(8))


@unrolled(lambda codes, more: CODES)
def joined(codes: Any, more: Any) -> Any:
    """Codes, and bits that they lack."""
    return tuple(code | bits for code, bits in zip(codes, more, strict=True))


def made(form: TileFormat) -> tuple[Any, Any]:
    """`unpack` and `code` of a type, vectors made at once where that takes less time.

    Four rows of two tiles leave few registers: vectors made when needed take 25 % less time of
    Q6_K, 18 % of IQ4_XS, up to 12 % of Q8_0, but 3 % more of Q4_0. With 16 registers none wait.
    """
    if not form.at_once or NARROW:
        return form.unpack, form.code
    unpack, all_codes = form.unpack, unrolled(lambda codes: CODES)(lambda codes: _all(form, codes))

    @inline
    def unpack_all(unit, block):
        codes, scales, minimums = unpack(unit, block)
        return all_codes(codes), scales, minimums

    return unpack_all, held


def _all(form: TileFormat, codes: Any) -> Any:
    return tuple(form.code(codes, g) for g in range(8))


# --- one vector when it is needed -----------------------------------------------------------------


def spread_bits(bits: Any, place: int) -> Any:
    """Bits 0..3 of each lane to bit `place` of its bytes: x * 0x204081 puts bit k at bit 8k."""
    return (bits & 15) * (0x00204081 << place) & each(1 << place)


def spread_pairs(codes: Any) -> Any:
    """Bits 2k and 2k + 1 of each lane's lowest byte to its byte k."""
    apart = (codes | shift_left(codes, 12)) & 0x000F000F
    return (apart | shift_left(apart, 6)) & LOW2


def whole(codes: Any, g: int) -> Any:
    """(address): bytes as they lie."""
    return load_i32x16(codes[0] + 64 * g)


def nibble_at(place: int) -> Any:
    """(address): columns 0..15 in the low nibbles of four vectors, 16..31 in the high ones; each
    moved to bit `place` of its byte.
    """

    def code(codes: Any, g: int) -> Any:
        raw = load_i32x16(codes[0] + 64 * (g % 4))
        moved = shift_left(raw, place) if g < 4 else shift_right(raw, 4 - place)
        return moved & each(15 << place)

    return code


nibble = nibble_at(0)


def with_fifth_bit(place: int) -> Any:
    """(address, bits): nibbles at `place`, above them bit c of each lane's bits for column c."""
    low = nibble_at(place)

    def code(codes: Any, g: int) -> Any:
        return low(codes, g) | spread_bits(shift_right(codes[1], 4 * g), place + 4)

    return code


def two_parts(low: int, high: int, place: int = 0) -> Any:
    """(address, n, address of the rest, its n): `low` bits from bit n of each byte on, moved to
    bit `place`, and above them `high` of the rest's.
    """

    def code(codes: Any, g: int) -> Any:
        address, n, rest, m = codes
        first = _moved(address + 64 * g, n, low, place)
        return first | _moved(rest + 64 * g, m, high, place + low)

    return code


def _moved(address: Any, n: Any, width: int, place: int) -> Any:
    raw, mask = load_i32x16(address), (1 << width) - 1
    if PAIRS:  # AVX2 has no instruction that turns bits round
        return shift_left(shift_right(raw, n) & each(mask), place)
    return rotate_right(raw, n - place) & each(mask << place)


def looked_up(table: Any, code: Any) -> Any:
    """Each byte of `code` replaced by its entry of `table`."""
    return lambda codes, g: table(code(codes, g))


# --- a few bits of each byte ----------------------------------------------------------------------


@inline
def masked(address, n, width):
    """`codes` of `width` bits from bit n of each byte on, where they lie; and 2^-n, their unit."""
    mask = isplat(((1 << width) - 1) * LOW1)
    return (address, shift_left(mask, n)), as_f32(shift_left(isplat(127 - n), 23))


@inline
def moved_near(address, n, width):
    """The same at bits 0 or 2 of the bytes: what is moved is moved by 4, or not at all."""
    mask, left = isplat(((1 << width) - 1) * LOW1), n & 2
    return (address, shift_left(mask, left), n & 4), as_f32(shift_left(isplat(127 - left), 23))


places = moved_near if PAIRS else masked


def in_place(codes: Any, g: int) -> Any:
    """What `places` gives."""
    raw = load_i32x16(codes[0] + 64 * g)
    return (shift_right(raw, codes[2]) if PAIRS else raw) & codes[1]
