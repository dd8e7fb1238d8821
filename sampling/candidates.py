"""Candidates: the token ids still in play, ascending, each with its logit in float64.

Every filter takes and returns candidates in this one order, so what a filter keeps or a draw
chooses never depends on how an earlier stage happened to sort. Equal logits: the lower id ranks
first.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .portable import F64, I64, exp, total

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

_BLOCKS = 32
# So many numbers are looked at one by one: after a step of a model the caches hold none of NumPy's
# functions, and the first call of each takes 10 to 60 us.
SHORT = 128


class Distribution(NamedTuple):
    """Ascending ids and the probability of each; ids not listed have probability 0."""

    ids: I64
    probs: F64

    def probability(self, token: int) -> float:
        """Return the probability of one id."""
        at = int(np.searchsorted(self.ids, token))
        if at == self.ids.size or self.ids[at] != token:
            return 0.0
        return float(self.probs[at])


class Candidates(NamedTuple):
    """Ascending ids and the logit of each (float64, same length); -inf is never drawn."""

    ids: I64
    logits: F64

    def at(self, positions: I64) -> "Candidates":
        """Return the candidates at ascending positions."""
        return Candidates(self.ids[positions], self.logits[positions])

    def where(self, mask: Bools) -> "Candidates":
        """Return the candidates at the true places of a mask."""
        # Positions gather nine times faster than the mask of a whole vocabulary.
        return self.at(np.flatnonzero(mask))

    def possible(self) -> "Candidates":
        """Return the candidates whose logit is above -inf."""
        above = self.logits > -np.inf
        return self if above.all() else self.where(above)


def weights(c: Candidates) -> F64:
    """Return exp(logit - best logit): the best candidate weighs 1."""
    return exp(c.logits - c.logits.max())


def softmax(c: Candidates) -> Distribution:
    """Return the candidates' probabilities; at least one logit must be above -inf."""
    w = weights(c)
    return Distribution(c.ids, w / total(w))


def locate(ids: I64, wanted: I64) -> tuple[I64, I64]:
    """Return where wanted ids stand in ids (both ascending), and which of them are there."""
    if wanted is ids:
        return np.arange(ids.size), np.arange(ids.size)
    if wanted.size == 0 or ids.size == 0:
        return wanted[:0], wanted[:0]
    at = np.minimum(np.searchsorted(ids, wanted), ids.size - 1)
    found = np.flatnonzero(ids[at] == wanted)
    return at[found], found


def top_positions(values: F32 | F64, k: int) -> I64:
    """Return the ascending positions of the k largest values; of equal ones the first count."""
    if k >= values.size:
        return np.arange(values.size)
    if k <= 0:
        return np.arange(0)
    low = _low_bound(values, k)
    if low == -np.inf:
        return _top_of_few(values, k)
    hits: I64 = np.flatnonzero(values >= low)
    found = values[hits]
    if hits.size == k:
        return hits
    kth = np.partition(found, found.size - k)[found.size - k]
    chosen = found > kth
    equal: I64 = np.flatnonzero(found == kth)
    chosen[equal[: k - int(np.count_nonzero(chosen))]] = True
    kept: I64 = hits[chosen]
    return kept


def _top_of_few(values: F32 | F64, k: int) -> I64:
    """The same where most values are -inf, as behind a grammar's mask: look at the others first."""
    above: I64 = np.flatnonzero(values > -np.inf)
    if above.size > k:
        return above[top_positions(values[above], k)]
    rest: I64 = np.flatnonzero(values == -np.inf)[: k - above.size]
    return np.sort(np.concatenate([above, rest]))


def ranked(values: F64, k: int) -> I64:
    """Return the positions of the k largest values, largest first; equal ones keep their order."""
    positions = top_positions(values, k)
    order: I64 = np.argsort(-values[positions], kind="stable")
    return positions[order]


def leading(values: F64, w: F64, mass: float, *, beyond: bool) -> I64:
    """Return the positions, ascending, of the highest values whose weights first reach a mass.

    `beyond`: the mass must be exceeded, not only reached. All positions when the sum never does.
    """
    if values.size <= SHORT:
        return _leading_of_few(values.tolist(), w.tolist(), mass, beyond)
    k = 256
    while True:
        order = ranked(values, k)
        sums = np.cumsum(w[order])
        count = int(np.searchsorted(sums, mass, side="right" if beyond else "left")) + 1
        if count <= order.size or order.size == values.size:
            return np.sort(order[:count])
        k *= 8


def _leading_of_few(values: list[float], w: list[float], mass: float, beyond: bool) -> I64:
    """The same one by one: the same sums, left to right."""
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    reached = 0.0
    for count, position in enumerate(order, 1):
        reached += w[position]
        if reached > mass or (reached == mass and not beyond):
            return np.array(sorted(order[:count]), dtype=np.int64)
    return np.arange(len(values))


def _low_bound(values: F32 | F64, k: int) -> Any:
    # At least k values reach the k-th largest of the maxima of disjoint blocks: a bound found at
    # the cost of one maximum. bench_sampling "top-k 40" against "np.partition".
    columns = values.size // _BLOCKS
    if k > columns // 2:
        return np.partition(values, values.size - k)[values.size - k]
    maxima = values[: _BLOCKS * columns].reshape(_BLOCKS, columns).max(axis=0)
    return np.partition(maxima, columns - k)[columns - k]
