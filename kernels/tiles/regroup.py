"""Q3_K at load: each code's three bits side by side, scales in a byte; 110 -> 114 bytes.

    3 runs of 32 bytes   byte j of run k: q[j + 64k] in bits 5-7, q[j + 64k + 32] in 2-4;
                         bits 0-1 of q[j + 192] in 0-1 of run 0, of q[j + 224] in those of run 1,
                         bits 2 of the two in 0-1 of run 2
    then                 scale[g] - 32 of 16 columns, int8 [16]; then d

Put together anew for each product, from where the file has them, codes and scales took a third of
its time: a tile's block of 32 columns 24 ns for 17 with one row, 36 for 25 with four (Intel).
"""

from __future__ import annotations

from .._jit import inline
from ..simd import load_i32, load_i64, load_u8, store_i64, store_u8
from ..tape import Kernel
from .expand import ONES, PAIRS, Expansion

NIBBLES = 0x0F0F0F0F0F0F0F0F
BIAS, SIGN_BITS = 0x2020202020202020, 6  # six bits less 32: the fifth turned, then as a sign


@inline
def code(low, high, block):
    """q of 8 columns, of 32 columns number `block`: `low` has them in pairs of bits."""
    return low >> 2 * (block & 3) & PAIRS | (high >> block & ONES) << 2


@inline
def regroup_codes(source, out):
    for at in range(0, 32, 8):
        high = load_i64(source + at)
        first, second = load_i64(source + 32 + at), load_i64(source + 64 + at)
        six, seven = code(second, high, 6), code(second, high, 7)
        run_0 = code(first, high, 0) << 5 | code(first, high, 1) << 2 | six & PAIRS
        run_1 = code(first, high, 2) << 5 | code(first, high, 3) << 2 | seven & PAIRS
        run_2 = code(second, high, 4) << 5 | code(second, high, 5) << 2
        store_i64(out + at, run_0)
        store_i64(out + 32 + at, run_1)
        store_i64(out + 64 + at, run_2 | six >> 2 & ONES | (seven >> 2 & ONES) << 1)


@inline
def signed(scales):
    """Eight scales of six bits, less 32."""
    turned = scales ^ BIAS
    return turned | (turned & BIAS) * SIGN_BITS


@inline
def regroup_scales(source, out):
    low, top = load_i64(source), load_i32(source + 8) & 0xFFFFFFFF
    tops = top | (top >> 2) << 32
    store_i64(out, signed(low & NIBBLES | (tops & PAIRS) << 4))
    store_i64(out + 8, signed(low >> 4 & NIBBLES | (tops >> 4 & PAIRS) << 4))


def _body(part, parts, thread, blocks, out, table, count):
    for i in range(count * part // parts, count * (part + 1) // parts):
        source, to = blocks + 110 * i, out + 114 * i
        regroup_codes(source, to)
        regroup_scales(source + 96, to + 96)
        store_u8(to + 112, load_u8(source + 108))
        store_u8(to + 113, load_u8(source + 109))


REGROUP_Q3_K = Expansion("q3_k", 114, Kernel("regroup_q3_k", _body))
