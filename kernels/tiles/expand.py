"""IQ1, IQ2 and IQ3 at load: each grid row's number is replaced by its 8 weights' codes.

So the tables are read once at load, and a product unpacks codes as it does for the other types. It
is exact, and it costs memory (bytes per 256 weights):

    iq1_s 50 -> 70   iq1_m 56 -> 78   iq2_xxs 66 -> 102   iq2_xs 74 -> 106   iq2_s 82 -> 106
    iq3_xxs 98 -> 134   iq3_s 110 -> 134

    codes  2 bits (IQ1: grid + 1), 2 bits and a plane for the sign (IQ2: level + 4 if negative), or
           nibbles (IQ3_XXS: level + 8 if negative; IQ3_S: (weight + 15) / 2)
    then   scales of 4 bits, two in a byte, and the float16 d; see `finish_...`
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._jit import inline
from ..quants.grids import GRIDS, grid
from ..simd import load_i64, load_u8, store_i64, store_u8
from ..tape import Kernel

I64 = NDArray[np.int64]
ONES, PAIRS = 0x0101010101010101, 0x0303030303030303
SIGNS = 256  # words of the table before the grid


@dataclass(frozen=True)
class Expansion:
    """How blocks of one type become blocks that unpack faster.

    `kernel(blocks, out, table, count)` takes `table()`, or 0: for each byte of signs what it does
    to 8 codes, then the codes of each row of the grid; 8 or 4 bytes of a word.
    """

    name: str
    bytes: int
    kernel: Kernel
    table: Callable[[], I64] | None = None


# --- tables ---------------------------------------------------------------------------------------


def _signs(mark: int, even: bool) -> I64:
    """Word s: `mark` in byte k if bit k of s is set; `even`: bit 7 makes their number even."""
    bits = np.arange(SIGNS, dtype=np.uint8)
    if even:
        seven = bits & np.uint8(127)
        bits = seven | (np.bitwise_count(seven) & np.uint8(1)) << np.uint8(7)
    marks = np.unpackbits(bits[:, None], axis=1, bitorder="little") * np.uint8(mark)
    return marks.view("<i8").ravel()


def _rows(name: str, first: int) -> I64:
    """Word r: the codes of row r, level numbers counted from `first`."""
    codes = np.searchsorted(GRIDS[name].levels, grid(name)).astype(np.uint8) + np.uint8(first)
    words = np.zeros((len(codes), 8), np.uint8)
    words[:, : codes.shape[1]] = codes
    return words.view("<i8").ravel()


def _table(name: str, mark: int, even: bool, first: int = 0) -> Callable[[], I64]:
    return functools.cache(lambda: np.concatenate([_signs(mark, even), _rows(name, first)]))


# --- 8 codes of a block ---------------------------------------------------------------------------


@inline
def load_u16(address):
    return load_u8(address) | load_u8(address + 1) << 8


@inline
def look_up(table, row, sign):
    return load_i64(table + 8 * (256 + row)) ^ load_i64(table + 8 * sign)


@inline
def look_up_two(table, row, row_2, sign):
    both = load_i64(table + 8 * (256 + row)) | load_i64(table + 8 * (256 + row_2)) << 32
    return both ^ load_i64(table + 8 * sign)


@inline
def seven_bits(address, which):
    """One of the four sign codes of a 32-bit word."""
    word = load_u16(address) | load_u16(address + 2) << 16
    return word >> 7 * which & 127


@inline
def codes_iq1_s(block, k, table):
    top = load_u16(block + 34 + 2 * (k >> 2)) >> 3 * (k & 3) & 7
    return look_up(table, load_u8(block + 2 + k) | top << 8, 0)


@inline
def codes_iq1_m(block, k, table):
    top = load_u8(block + 32 + (k >> 1)) >> 4 * (k & 1) & 7
    return look_up(table, load_u8(block + k) | top << 8, 0)


@inline
def codes_iq2_xxs(block, k, table):
    run = block + 2 + 8 * (k >> 2)
    return look_up(table, load_u8(run + (k & 3)), seven_bits(run + 4, k & 3))


@inline
def codes_iq2_xs(block, k, table):
    word = load_u16(block + 2 + 2 * k)
    return look_up(table, word & 511, word >> 9)


@inline
def codes_iq2_s(block, k, table):
    top = load_u8(block + 66 + (k >> 2)) >> 2 * (k & 3) & 3
    return look_up(table, load_u8(block + 2 + k) | top << 8, load_u8(block + 34 + k))


@inline
def codes_iq3_xxs(block, k, table):
    sign = seven_bits(block + 66 + 4 * (k >> 2), k & 3)
    return look_up_two(table, load_u8(block + 2 + 2 * k), load_u8(block + 3 + 2 * k), sign)


@inline
def codes_iq3_s(block, k, table):
    top = load_u8(block + 66 + (k >> 2)) >> 2 * (k & 3)
    first = load_u8(block + 2 + 2 * k) | (top & 1) << 8
    second = load_u8(block + 3 + 2 * k) | (top >> 1 & 1) << 8
    return look_up_two(table, first, second, load_u8(block + 74 + k))


# --- how codes lie --------------------------------------------------------------------------------


def _as_pairs(codes: Any, plane: bool) -> Any:
    """Two runs of 32 bytes, columns j, j + 32, j + 64, j + 96 in byte j; then bit 2, if any."""

    @inline
    def store(block, out, table):
        for j in range(4):
            top = 0
            for half in range(2):
                low = 0
                for t in range(4):
                    eight = codes(block, 16 * half + 4 * t + j, table)
                    low |= (eight & PAIRS) << 2 * t
                    top |= (eight >> 2 & ONES) << (4 * half + t)
                store_i64(out + 32 * half + 8 * j, low)
            if plane:
                store_i64(out + 64 + 8 * j, top)

    return store


def _as_nibbles(codes: Any) -> Any:
    """Eight runs of 16 bytes, columns j and j + 16 of a run in byte j."""

    @inline
    def store(block, out, table):
        for run in range(8):
            for j in range(2):
                low, high = codes(block, 4 * run + j, table), codes(block, 4 * run + j + 2, table)
                store_i64(out + 16 * run + 8 * j, low | high << 4)

    return store


@inline
def copy_bytes(source, to, count):
    for i in range(count):
        store_u8(to + i, load_u8(source + i))


@inline
def finish_iq1_s(block, out):
    """Nibble g: scale[g] in bits 0-2, bit 3 says that shift[g] is -1/8; then d."""
    for g in range(4):
        first, second = load_u8(block + 35 + 4 * g) >> 4, load_u8(block + 37 + 4 * g) >> 4
        store_u8(out + 64 + g, first | second << 4)
    copy_bytes(block, out + 68, 2)


@inline
def finish_iq1_m(block, out):
    """Nibble g: scale[g]; then bit k: shift[k] is -1/8; then d."""
    d = 0
    for w in range(4):
        word = load_u16(block + 48 + 2 * w)
        store_u8(out + 64 + 2 * w, word & 7 | (word >> 3 & 7) << 4)
        store_u8(out + 65 + 2 * w, word >> 6 & 7 | (word >> 9 & 7) << 4)
        d |= (word >> 12) << 4 * w
    for i in range(4):
        bits = 0
        for k in range(8):
            bits |= (load_u8(block + 32 + 4 * i + (k >> 1)) >> (3 + 4 * (k & 1)) & 1) << k
        store_u8(out + 72 + i, bits)
    store_u8(out + 76, d & 255)
    store_u8(out + 77, d >> 8)


@inline
def finish_iq2_xxs(block, out):
    """Nibble g: scale[g]; then d."""
    for g in range(4):
        first, second = load_u8(block + 9 + 16 * g) >> 4, load_u8(block + 17 + 16 * g) >> 4
        store_u8(out + 96 + g, first | second << 4)
    copy_bytes(block, out + 100, 2)


@inline
def finish_iq2_xs(block, out):
    copy_bytes(block + 66, out + 96, 8)
    copy_bytes(block, out + 104, 2)


@inline
def finish_iq2_s(block, out):
    copy_bytes(block + 74, out + 96, 8)
    copy_bytes(block, out + 104, 2)


@inline
def finish_iq3_xxs(block, out):
    for g in range(4):
        first, second = load_u8(block + 69 + 8 * g) >> 4, load_u8(block + 73 + 8 * g) >> 4
        store_u8(out + 128 + g, first | second << 4)
    copy_bytes(block, out + 132, 2)


@inline
def finish_iq3_s(block, out):
    copy_bytes(block + 106, out + 128, 4)
    copy_bytes(block, out + 132, 2)


def _expansion(
    name: str, sizes: tuple[int, int], store: Any, finish: Any, table: Callable[[], I64]
) -> tuple[str, Expansion]:
    before, after = sizes

    def body(part, parts, thread, blocks, out, table, count):
        for i in range(count * part // parts, count * (part + 1) // parts):
            store(blocks + before * i, out + after * i, table)
            finish(blocks + before * i, out + after * i)

    return name, Expansion(name, after, Kernel(f"expand_{name}", body), table)


_PLAIN, _SIGNED = (lambda codes: _as_pairs(codes, False)), (lambda codes: _as_pairs(codes, True))
_IQ1 = _table("iq1_s", 0, False)
EXPANSIONS: dict[str, Expansion] = dict(
    (
        _expansion("iq1_s", (50, 70), _PLAIN(codes_iq1_s), finish_iq1_s, _IQ1),
        _expansion("iq1_m", (56, 78), _PLAIN(codes_iq1_m), finish_iq1_m, _IQ1),
        _expansion(
            "iq2_xxs", (66, 102), _SIGNED(codes_iq2_xxs), finish_iq2_xxs, _table("iq2_xxs", 4, True)
        ),
        _expansion(
            "iq2_xs", (74, 106), _SIGNED(codes_iq2_xs), finish_iq2_xs, _table("iq2_xs", 4, True)
        ),
        _expansion(
            "iq2_s", (82, 106), _SIGNED(codes_iq2_s), finish_iq2_s, _table("iq2_s", 4, False)
        ),
        _expansion(
            "iq3_xxs",
            (98, 134),
            _as_nibbles(codes_iq3_xxs),
            finish_iq3_xxs,
            _table("iq3_xxs", 8, True),
        ),
        _expansion(
            "iq3_s",
            (110, 134),
            _as_nibbles(codes_iq3_s),
            finish_iq3_s,
            _table("iq3_s", 15, False, 8),
        ),
    )
)
