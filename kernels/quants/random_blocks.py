"""Random valid blocks of any type: every code drawn evenly, every |weight| <= about `largest`.

For tests and for models that are made up: a quantiser would write such bytes, give or take the
odd extreme code, with finite scales of either sign, between half (MXFP4, NVFP4: an eighth) of
the size that allows `largest` and all of it. Integers are in -100..100 whatever `largest`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...formats.ggml_types import Block
from .fields import F32, U8, U16, i8
from .mxfp4 import half_e8m0
from .nvfp4 import half_ue4m3

SMALLEST, LARGEST = 2.0**-6, 2.0**6

# Where a type keeps float16 scales: (byte, largest |weight| of the block if that scale is 1 and
# the others are 0).
_SCALES: dict[str, tuple[tuple[int, float], ...]] = {
    "q1_0": ((0, 1),),
    "q2_0": ((0, 2),),
    "q4_0": ((0, 8),),
    "q4_1": ((0, 15), (2, 1)),
    "q5_0": ((0, 16),),
    "q5_1": ((0, 31), (2, 1)),
    "q8_0": ((0, 128),),
    "q8_1": ((0, 128),),
    "q2_k": ((80, 15 * 3), (82, 15)),
    "q3_k": ((108, 32 * 4),),
    "q4_k": ((0, 63 * 15), (2, 63)),
    "q5_k": ((0, 63 * 31), (2, 63)),
    "q6_k": ((208, 128 * 32),),
    "iq1_s": ((0, 15 * 1.125),),
    "iq2_xxs": ((0, 15.5 / 4 * 43),),
    "iq2_xs": ((0, 15.5 / 4 * 43),),
    "iq2_s": ((0, 15.5 / 4 * 43),),
    "iq3_xxs": ((0, 15.5 / 2 * 62),),
    "iq3_s": ((0, 31 * 15),),
    "iq4_nl": ((0, 127),),
    "iq4_xs": ((0, 32 * 127),),
    "tq1_0": ((52, 1),),
    "tq2_0": ((64, 1),),
}


def random_blocks(block: Block, n: int, rng: np.random.Generator, *, largest: float = 1.0) -> U8:
    """Draw `n` blocks of a type: U8[n, block.bytes].

    Raise ValueError for a type that ggml does not have or `largest` outside 1/64..64.
    """
    if block.name not in _SCALES and block.name not in _FINISH:
        raise ValueError(f"tensor type: found {block.name!r}, expected a name of ggml_types.GGML")
    if not SMALLEST <= largest <= LARGEST:
        raise ValueError(f"largest: found {largest}, expected {SMALLEST} to {LARGEST}")
    blocks = rng.integers(0, 256, (n, block.bytes), dtype=np.uint8)
    scales = _SCALES.get(block.name, ())
    for offset, reach in scales:
        scale = _scale(n, rng, largest / (reach * len(scales)))
        blocks[:, offset : offset + 2] = _bytes(scale.astype("<f2"))
    finish = _FINISH.get(block.name)
    if finish is not None:
        finish(blocks, rng, largest)
    return blocks


def _scale(n: int, rng: np.random.Generator, largest: float) -> NDArray[np.float64]:
    sizes: NDArray[np.float64] = rng.uniform(largest / 2, largest, (n, 1))
    return np.where(rng.random((n, 1)) < 0.5, -sizes, sizes)


def _bytes(values: NDArray[np.generic]) -> U8:
    return np.ascontiguousarray(values).view(np.uint8)


def _q8_1(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    d = blocks[:, :2].copy().view("<f2").astype(np.float32)
    total = i8(blocks, 4, 32).sum(axis=1, keepdims=True, dtype=np.float32)
    blocks[:, 2:4] = _bytes((d * total).astype("<f2"))


def _q8_k(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    blocks[:, :4] = _bytes(_scale(len(blocks), rng, largest / 128).astype("<f4"))
    sums = i8(blocks, 4, 256).reshape(len(blocks), 16, 16).sum(axis=2, dtype="<i2")
    blocks[:, 260:] = _bytes(sums)


def _iq1_m(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    d: U16 = _scale(len(blocks), rng, largest / (15 * 1.125)).astype(np.float16).view(np.uint16)
    nibbles = (d >> np.array([0, 4, 8, 12], dtype=np.uint16) & np.uint16(15)).astype(np.uint8)
    blocks[:, 49::2] = blocks[:, 49::2] & np.uint8(15) | nibbles << np.uint8(4)


def _tq1_0(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    blocks[:, :48] = _fraction(rng.integers(0, 243, (len(blocks), 48)))
    blocks[:, 48:52] = _fraction(3 * rng.integers(0, 81, (len(blocks), 4)))


def _fraction(digits: NDArray[np.int64]) -> U8:
    # The smallest byte b with b / 256 >= digits / 243: its base-3 digits are those of the number.
    return ((digits * 256 + 242) // 243).astype(np.uint8)


def _tq2_0(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    codes = rng.integers(0, 3, (len(blocks), 64, 4), dtype=np.uint8)
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)
    blocks[:, :64] = np.bitwise_or.reduce(codes << shifts, axis=2)


def _mxfp4(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    scales = half_e8m0(np.arange(256, dtype=np.uint8))
    blocks[:, :1] = rng.choice(_codes_near(scales, largest / 12), (len(blocks), 1))


def _nvfp4(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    scales = half_ue4m3(np.arange(128, dtype=np.uint8))
    blocks[:, :4] = rng.choice(_codes_near(scales, largest / 12), (len(blocks), 4))


def _codes_near(scales: F32, largest: float) -> U8:
    return np.flatnonzero((scales > largest / 8) & (scales <= largest)).astype(np.uint8)


def _floats(dtype: str) -> Callable[[U8, np.random.Generator, float], None]:
    def fill(blocks: U8, rng: np.random.Generator, largest: float) -> None:
        blocks[:] = _bytes(rng.uniform(-largest, largest, (len(blocks), 1)).astype(dtype))

    return fill


def _bf16(blocks: U8, rng: np.random.Generator, largest: float) -> None:
    values = rng.uniform(-largest, largest, (len(blocks), 1)).astype("<f4")
    blocks[:] = _bytes(values)[:, 2:]


def _integers(dtype: str) -> Callable[[U8, np.random.Generator, float], None]:
    def fill(blocks: U8, rng: np.random.Generator, largest: float) -> None:
        blocks[:] = _bytes(rng.integers(-100, 101, (len(blocks), 1)).astype(dtype))

    return fill


# What random bytes and float16 scales leave to do.
_FINISH: dict[str, Callable[[U8, np.random.Generator, float], None]] = {
    "q8_1": _q8_1,
    "q8_k": _q8_k,
    "iq1_m": _iq1_m,
    "tq1_0": _tq1_0,
    "tq2_0": _tq2_0,
    "mxfp4": _mxfp4,
    "nvfp4": _nvfp4,
    "f32": _floats("<f4"),
    "f16": _floats("<f2"),
    "f64": _floats("<f8"),
    "bf16": _bf16,
    "i8": _integers("<i1"),
    "i16": _integers("<i2"),
    "i32": _integers("<i4"),
    "i64": _integers("<i8"),
}
