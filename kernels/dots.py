"""Products of codes (unsigned bytes) and activations (signed bytes), four to a lane, summed.

    avx512vnni, avxvnni   four products and their sum at once (vpdpbusd)
    avx2, avx512          codes of up to 7 bits: two products and their sum in 16 bits (vpmaddubsw);
                          as many such sums as fit are added before they are widened (vpmaddwd)
    avx2                  codes of 8 bits: two such products could be more than 16 bits hold, but
                          not |code - 128| times the activation with the sign of code - 128
    the rest              even and odd bytes as 16-bit words

Activations of 16 bits are multiplied by even bytes and by odd ones as words, two products and their
sum at once (vpdpwssd, vpmaddwd).

Whole numbers, so all of them give the same bits. On one AMD Zen 3 core a prompt's products of Q4_0
take a third of the time in pairs that they take as words (200 GOPS for 67), Q6_K's 0.48, and Q8_0's
0.77 by sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from .isa import ISA
from .simd import at, halves, join, of_type
from .trace import I8, I16, I32, LANES, constant, i32, i32x16, i64, intrinsic, primitive, void

BYTES, WORDS = of_type(I8, 64), of_type(I16, 32)
EVEN_FIRST = (0, 2, 1, 3)  # the order of four columns' activations of 16 bits
MOST, ZERO = 32767, 128  # of 16 bits; the code that stands for zero in signed types


# --- four products at once ------------------------------------------------------------------------


def _lower_dot4_512(b: Any, total: Any, u: Any, s: Any) -> Any:
    return intrinsic(b, "llvm.x86.avx512.vpdpbusd.512", total.type, total, u, s)


def _lower_dot4_256(b: Any, total: Any, u: Any, s: Any) -> Any:
    return _added_by_halves(b, "llvm.x86.avx512.vpdpbusd.256", total, u, s)


def _added_by_halves(b: Any, name: str, total: Any, u: Any, s: Any) -> Any:
    """An instruction of 256 bits that adds to `total`, on both halves of 512."""
    parts = zip(*(halves(b, v) for v in (total, u, s)), strict=True)
    return join(b, *(intrinsic(b, name, t.type, t, x, y) for t, x, y in parts))


def _lower_dot4_words(b: Any, total: Any, u: Any, s: Any) -> Any:
    """Even and odd bytes as 16-bit words, multiplied and added in pairs: nothing can saturate."""
    eight = ir.Constant(WORDS, [8] * 32)
    u, s = b.bitcast(u, WORDS), b.bitcast(s, WORDS)
    pairs = (
        (b.and_(u, ir.Constant(WORDS, [255] * 32)), b.ashr(b.shl(s, eight), eight)),
        (b.lshr(u, eight), b.ashr(s, eight)),
    )
    for x, y in pairs:
        total = b.add(total, _multiply_words(b, x, y))
    return total


def _multiply_words(b: Any, x: Any, y: Any) -> Any:
    if ISA in ("avx512", "avx512vnni"):
        return intrinsic(b, "llvm.x86.avx512.pmaddw.d.512", i32x16.llvm, x, y)
    if ISA in ("avx2", "avxvnni"):
        return _by_halves(b, "llvm.x86.avx2.pmadd.wd", of_type(I32, 8), x, y)
    x, y, sixteen = b.bitcast(x, i32x16.llvm), b.bitcast(y, i32x16.llvm), constant(i32x16, 16)
    low = [b.ashr(b.shl(v, sixteen), sixteen) for v in (x, y)]
    return b.add(b.mul(*low), b.mul(b.ashr(x, sixteen), b.ashr(y, sixteen)))


def _by_halves(b: Any, name: str, result: Any, x: Any, y: Any) -> Any:
    """An instruction of 256 bits on both halves of 512."""
    parts = zip(halves(b, x), halves(b, y), strict=True)
    return join(b, *(intrinsic(b, name, result, p, q) for p, q in parts))


_DOT4 = {"avx512vnni": _lower_dot4_512, "avxvnni": _lower_dot4_256}


@primitive(i32x16, (i32x16,) * 3, lambda b, *v: _DOT4.get(ISA, _lower_dot4_words)(b, *v))
def dot4(total: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Per lane: total + four products of an unsigned byte of u and a signed byte of s, exact."""
    products = u.view(np.uint8).astype(np.int32) * s.view(np.int8)
    return total + products.reshape(LANES, 4).sum(1, dtype=np.int32)


# --- two products at once -------------------------------------------------------------------------


def _lower_pairs(b: Any, u: Any, s: Any) -> Any:
    u, s = b.bitcast(u, BYTES), b.bitcast(s, BYTES)
    if ISA == "avx512":
        return intrinsic(b, "llvm.x86.avx512.pmaddubs.w.512", WORDS, u, s)
    return _by_halves(b, "llvm.x86.avx2.pmadd.ub.sw", of_type(I16, 16), u, s)


def _pair_sums(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    products = u.view(np.uint8).astype(np.int32) * s.view(np.int8)
    sums = products.reshape(-1, 2).sum(1)
    if np.abs(sums).max() > MOST:
        raise OverflowError("two products are more than 16 bits hold")
    return sums.astype(np.int16)


def _lower_add_pairs(b: Any, words: Any, u: Any, s: Any) -> Any:
    return b.bitcast(b.add(b.bitcast(words, WORDS), _lower_pairs(b, u, s)), i32x16.llvm)


@primitive(i32x16, (i32x16,) * 3, _lower_add_pairs)
def add_pairs(words: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Per 16-bit word: words + two products of an unsigned byte of u and a signed one of s; the
    sum must fit.
    """
    total = words.view(np.int16).astype(np.int32) + _pair_sums(u, s)
    if np.abs(total).max() > MOST:
        raise OverflowError("sums of products are more than 16 bits hold")
    return total.astype(np.int16).view(np.int32)


def _lower_settled(b: Any, words: Any) -> Any:
    parts = [words] if ISA == "avx512" else halves(b, words)
    kind = ir.FunctionType(parts[0].type, [parts[0].type])
    asm = ir.InlineAsm(kind, "", "=v,0" if ISA == "avx512" else "=x,0", True)
    parts = [b.call(asm, [part]) for part in parts]
    return parts[0] if len(parts) == 1 else join(b, *parts)


@primitive(i32x16, (i32x16,), _lower_settled)
def settled(words: np.ndarray) -> np.ndarray:
    """The same, computed here and not later: LLVM would turn a chain of sums into a tree, and keep
    what goes into it in memory, for want of registers.
    """
    return words


def _lower_widen(b: Any, total: Any, words: Any, factor: Any) -> Any:
    one = b.insert_element(ir.Constant(WORDS, ir.Undefined), b.trunc(factor, I16), constant(i32, 0))
    first = ir.Constant(ir.VectorType(I32, 32), [0] * 32)
    factors = b.shuffle_vector(one, ir.Constant(WORDS, ir.Undefined), first)
    return b.add(total, _multiply_words(b, b.bitcast(words, WORDS), factors))


@primitive(i32x16, (i32x16, i32x16, i32), _lower_widen)
def add_widened(total: np.ndarray, words: np.ndarray, factor: int) -> np.ndarray:
    """Per lane: total + factor * (both its 16-bit words)."""
    sums = words.view(np.int16).astype(np.int32).reshape(LANES, 2).sum(1, dtype=np.int32)
    return total + sums * np.int32(factor)


def _centred(b: Any, u: Any) -> Any:
    return b.xor(b.bitcast(u, BYTES), ir.Constant(BYTES, [ZERO] * 64))


def _lower_distance(b: Any, u: Any) -> Any:
    function = "llvm.abs.v64i8"
    size = intrinsic(b, function, BYTES, _centred(b, u), ir.Constant(ir.IntType(1), 0))
    return b.bitcast(size, i32x16.llvm)


@primitive(i32x16, (i32x16,), _lower_distance)
def distance(u: np.ndarray) -> np.ndarray:
    """|u - 128| of each byte."""
    return np.abs(u.view(np.uint8).astype(np.int16) - ZERO).astype(np.uint8).view(np.int32)


def _lower_add_signed(b: Any, total: Any, size: Any, u: Any, s: Any) -> Any:
    turned = _by_halves(
        b, "llvm.x86.avx2.psign.b", of_type(I8, 32), b.bitcast(s, BYTES), _centred(b, u)
    )
    ones = ir.Constant(WORDS, [1] * 32)
    return b.add(total, _multiply_words(b, _lower_pairs(b, size, turned), ones))


@primitive(i32x16, (i32x16,) * 4, _lower_add_signed)
def add_signed(total: np.ndarray, size: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Per lane: total + four products of u - 128 and a signed byte of s; size is distance(u)."""
    signs = np.sign(u.view(np.uint8).astype(np.int16) - ZERO)
    turned = (signs * s.view(np.int8)).astype(np.int8)
    return add_widened(total, _pair_sums(size, turned).view(np.int32), 1)


# --- activations of 16 bits -----------------------------------------------------------------------


def _lower_store_words(b: Any, address: Any, x: Any) -> None:
    words = b.trunc(x, of_type(I16, LANES))
    order = [4 * (i // 4) + EVEN_FIRST[i % 4] for i in range(LANES)]
    words = b.shuffle_vector(words, words, ir.Constant(ir.VectorType(I32, LANES), order))
    b.store(words, b.inttoptr(address, words.type.as_pointer()), align=1)


@primitive(void, (i64, i32x16), _lower_store_words)
def store_words(address: int, x: np.ndarray) -> None:
    """Write 16 columns' codes as 16-bit words, of each four the even ones first."""
    at(address, np.int16, LANES)[...] = x.reshape(-1, 4)[:, EVEN_FIRST].reshape(-1)


def _lower_even_bytes(b: Any, u: Any) -> Any:
    return b.and_(u, constant(i32x16, 0x00FF00FF))


@primitive(i32x16, (i32x16,), _lower_even_bytes)
def even_bytes(u: np.ndarray) -> np.ndarray:
    """Bytes 0 and 2 of each lane as words."""
    return u & np.int32(0x00FF00FF)


def _lower_odd_bytes(b: Any, u: Any) -> Any:
    words = b.lshr(b.bitcast(u, WORDS), ir.Constant(WORDS, [8] * 32))
    return b.bitcast(words, i32x16.llvm)


@primitive(i32x16, (i32x16,), _lower_odd_bytes)
def odd_bytes(u: np.ndarray) -> np.ndarray:
    """Bytes 1 and 3 of each lane as words."""
    return (u.view(np.uint16) >> 8).view(np.int32)


def _lower_dot2(b: Any, total: Any, u: Any, s: Any) -> Any:
    if ISA == "avx512vnni":
        return intrinsic(b, "llvm.x86.avx512.vpdpwssd.512", total.type, total, u, s)
    if ISA == "avxvnni":
        return _added_by_halves(b, "llvm.x86.avx512.vpdpwssd.256", total, u, s)
    return b.add(total, _multiply_words(b, b.bitcast(u, WORDS), b.bitcast(s, WORDS)))


@primitive(i32x16, (i32x16,) * 3, _lower_dot2)
def dot2(total: np.ndarray, u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Per lane: total + two products of signed words of u and s, exact while 32 bits hold them."""
    products = u.view(np.int16).astype(np.int32) * s.view(np.int16)
    return total + products.reshape(LANES, 2).sum(1, dtype=np.int32)
