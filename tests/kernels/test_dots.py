"""Products of bytes: nothing saturates, and compiled and as NumPy they are the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.kernels import dots
from gnomon.kernels.counts import by_sign
from gnomon.kernels.isa import ISA, PAIRS
from gnomon.kernels.simd import load_i32x16, store_i32x16
from gnomon.kernels.tape import Kernel
from gnomon.kernels.tiles.formats import FORMATS

BY_SIGN = by_sign(FORMATS["q8_0"])
# Bytes at the ends of what they can be, and activations, which are never -128.
CODES, ACTIVATIONS = (0, 1, 127, 128, 129, 255), (-127, -1, 0, 1, 127)


def four(part, parts, thread, total, u, s, out):
    store_i32x16(out, dots.dot4(load_i32x16(total), load_i32x16(u), load_i32x16(s)))


def two(part, parts, thread, total, u, s, out):
    words = dots.add_pairs(load_i32x16(total), load_i32x16(u), load_i32x16(s))
    store_i32x16(out, dots.settled(words))


def widened(part, parts, thread, total, u, s, out):
    store_i32x16(out, dots.add_widened(load_i32x16(total), load_i32x16(u), 16))


def signed(part, parts, thread, total, u, s, out):
    codes = load_i32x16(u)
    size = dots.distance(codes)
    store_i32x16(out, dots.add_signed(load_i32x16(total), size, codes, load_i32x16(s)))


def words(part, parts, thread, total, u, s, out):
    codes = load_i32x16(u)
    sums = dots.dot2(load_i32x16(total), dots.even_bytes(codes), load_i32x16(s))
    store_i32x16(out, dots.dot2(sums, dots.odd_bytes(codes), load_i32x16(s + 64)))


def stored(part, parts, thread, x, out):
    dots.store_words(out, load_i32x16(x))


def both(body: Callable[..., None], *arrays: Any) -> list[int]:
    """What `body` writes in 64 bytes, compiled; and the same as plain Python."""
    held = [np.ascontiguousarray(array) for array in arrays]
    outs = np.zeros((2, 16), np.int32)
    Kernel(f"test_{body.__name__}", body).run(0, 1, *held, outs[0])
    body(0, 1, 0, *[array.ctypes.data for array in held], outs[1].ctypes.data)
    assert outs[0].tolist() == outs[1].tolist()
    return list(outs[0].tolist())


def extremes(rng: np.random.Generator, codes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    total = rng.integers(-(2**20), 2**20, 16, np.int32)
    return total, rng.choice(codes, 64).astype(np.uint8), rng.choice(ACTIVATIONS, 64).astype("i1")


def summed(products: Any) -> Any:
    return products.reshape(16, -1).sum(1)


def test_four_products_do_not_saturate(rng: np.random.Generator) -> None:
    for _ in range(50):
        total, u, s = extremes(rng, CODES)
        s[rng.integers(64)] = -128
        assert both(four, total, u, s) == (total + summed(u.astype(int) * s)).tolist()


@pytest.mark.skipif(not PAIRS, reason=f"{ISA} has four products at once")
def test_two_products_of_seven_bits_fit_in_a_word(rng: np.random.Generator) -> None:
    for _ in range(50):
        _, u, s = extremes(rng, (0, 1, 126, 127))
        words = both(two, np.zeros(16, np.int32), u, s)
        found = np.array(words, np.int32).view(np.int16)
        assert found.tolist() == (u.astype(int) * s).reshape(32, 2).sum(1).tolist()


@pytest.mark.skipif(not PAIRS, reason=f"{ISA} has four products at once")
def test_words_are_widened_with_their_sign(rng: np.random.Generator) -> None:
    total, _, s = extremes(rng, CODES)
    words = rng.choice([-32768, -1, 0, 1, 32767], 32).astype(np.int16)
    assert both(widened, total, words, s) == (total + 16 * summed(words.astype(int))).tolist()


@pytest.mark.skipif(not BY_SIGN, reason=f"{ISA} needs no sign")
def test_products_by_sign_do_not_saturate(rng: np.random.Generator) -> None:
    for _ in range(50):
        total, u, s = extremes(rng, CODES)
        wanted = total + summed((u.astype(int) - 128) * s)
        assert both(signed, total, u, s) == wanted.tolist()


def test_products_of_16_bits_do_not_saturate(rng: np.random.Generator) -> None:
    for _ in range(50):
        total, u, _ = extremes(rng, CODES)
        s = rng.choice((-32768, -32258, -1, 0, 1, 32258), (2, 16, 2)).astype(np.int16)
        columns = u.astype(int).reshape(16, 2, 2)  # of each lane: pairs, then even and odd
        wanted = total + np.einsum("lpe,elp->l", columns, s.astype(int))
        assert both(words, total, u, s) == wanted.tolist()


def test_words_lie_with_the_even_columns_first() -> None:
    x = np.arange(-8, 8, dtype=np.int32) * 4000
    found = np.array(both(stored, x), np.int32).view(np.int16)[:16]
    assert found.tolist() == x.reshape(4, 4)[:, [0, 2, 1, 3]].ravel().tolist()


def test_what_does_not_fit_a_word_is_refused_in_plain_python() -> None:
    u, s = np.full(16, -1, np.int32), np.full(16, 0x7F7F7F7F, np.int32)
    with pytest.raises(OverflowError, match="16 bits"):
        dots.add_pairs(np.zeros(16, np.int32), u, s)
