"""Random numbers keyed by (seed, position, stream), and the map from one of them to a token.

bits(seed, position, stream) = mix(mix(mix(seed) + stream * G) + position * G), modulo 2**64, with
splitmix64's finaliser `mix` and increment G; the uniform number is its top 53 bits / 2**53. No
state: a number depends on nothing drawn before it, so a rewind is only a smaller position.

A uniform number u chooses the first candidate, in ascending id order, at which the running sum of
probabilities (float64, left to right) exceeds u times the whole sum.
"""

from bisect import bisect_right
from enum import IntEnum
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from .candidates import SHORT, Distribution
from .portable import F64, I64

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Stream(IntEnum):
    """What a random number is for; numbers of different streams are independent."""

    DRAW = 0
    XTC = 1
    ACCEPT = 2
    RESIDUAL = 3
    DRAFT = 4


def uniform(seed: int, position: int, stream: Stream = Stream.DRAW) -> float:
    """Return the number in [0, 1) of this seed (any int, taken modulo 2**64) and position."""
    key = mix((mix(seed & _MASK) + stream * _GOLDEN) & _MASK)
    return float(mix((key + position * _GOLDEN) & _MASK) >> 11) * 2.0**-53


def uniforms(seed: int, positions: I64, stream: Stream = Stream.DRAW) -> F64:
    """Return `uniform` of many positions at once."""
    key = mix((mix(seed & _MASK) + stream * _GOLDEN) & _MASK)
    bits = positions.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key)
    bits = _mix_array(bits)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(distribution: Distribution, u: float) -> int:
    """Return the id that u in [0, 1) chooses."""
    if distribution.probs.size <= SHORT:
        few = list(accumulate(distribution.probs.tolist()))
        return int(distribution.ids[bisect_right(few, u * few[-1])])
    sums = np.cumsum(distribution.probs)
    return int(distribution.ids[np.searchsorted(sums, u * sums[-1], side="right")])


def mix(z: int) -> int:
    """Return the finaliser of splitmix64, whose n-th output for seed s is mix(s + n * G)."""
    z = ((z ^ (z >> 30)) * _MULTIPLIERS[0]) & _MASK
    z = ((z ^ (z >> 27)) * _MULTIPLIERS[1]) & _MASK
    return z ^ (z >> 31)


def _mix_array(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return z ^ (z >> np.uint64(31))
