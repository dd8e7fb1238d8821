"""Activations rounded to 16 bits, for the product that makes the logits: `records.py`'s WORDS.

    d = max|x| / 32258,   code = round(x * (32258 / max|x|)), halves to even

As many steps as the two levels of 8 bits have (`activations.py`), but weights are unpacked and sums
scaled once, and AVX2 multiplies words faster than it multiplies bytes twice. Milliseconds of a step
whose head (q8_0) had two levels / has words, on two Zen 3 cores:

    rows                 1            4            16             64
    SmolLM2-135M     7.37 / 7.10  10.4 / 9.4   35.1 / 31.0    143 / 114
    gemma-3-270m     16.1 / 15.9  27.1 / 21.5   104 / 73.8    463 / 264

Where max|x| is at most 2^-80 codes are zero, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activations import (
    SEVEN_BITS,
    STEPS,
    TINY,
    arrange,
    arrange_ref,
    load_row,
    load_rows,
    put_level,
    quantise,
    record_ref,
    scales,
)
from .dots import EVEN_FIRST, store_words
from .records import RECORD, Records
from .rows import of_row
from .simd import div, rint, splat, unrolled, void
from .tape import kernel

F32 = NDArray[np.float32]
MOST = SEVEN_BITS * STEPS  # 32258, of 16 bits


def quantise_words_ref(x: F32, rows_at_once: int) -> NDArray[np.uint8]:
    """x [rows, columns] -> records [groups, blocks, 96 * rows_at_once] (uint8)."""
    blocks = arrange_ref(x, rows_at_once)
    top = np.abs(blocks).max(-1)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(top > TINY, MOST / top, np.float32(0))
    codes = np.rint(blocks * inverse[..., None]).astype(np.int16)
    ordered = codes.reshape(*codes.shape[:3], 8, 4)[..., EVEN_FIRST]
    return record_ref(codes, ordered, top / MOST, np.zeros(top.shape, np.bool_))


@unrolled(lambda *given: void)
def put_words(low: Any, high: Any, codes: Any, numbers: Any, step: Any) -> None:
    """Write some rows of a record."""
    top, inverse = scales(low, high, MOST)
    left, right = (
        [rint(x * of_row(inverse, i)) for i, x in enumerate(half)] for half in (low, high)
    )
    put_level(left, right, div(top, splat(MOST)), codes, numbers, step, store_words, 2)


@kernel("quantise_words")
def quantise_words(
    part, parts, thread, x, out, rows, columns, stride, at_once, groups, blocks, share: float
):
    """x float32 [rows, columns], rows `stride` bytes apart -> records of words; cut by records."""
    total = groups * blocks
    size = 96 * at_once
    for index in range(total * part // parts, total * (part + 1) // parts):
        group, block = index // blocks, index % blocks
        record = out + group * RECORD * blocks * at_once + block * size
        numbers, left = record + 64 * at_once, columns - 32 * block
        address, present = x + group * at_once * stride + 128 * block, rows - group * at_once
        if at_once == 1:
            one = load_row(address, left)
            put_words(one[0], one[1], record, numbers, 4)
            continue
        for i in range(0, at_once, 4):
            four = load_rows(address + i * stride, stride, present - i, left)
            put_words(four[0], four[1], record + 64 * i, numbers + 4 * i, 4 * at_once)


# The kernel that writes each kind of records; all take the same arguments.
WRITERS = {Records.FLOATS: arrange, Records.BYTES: quantise, Records.WORDS: quantise_words}
