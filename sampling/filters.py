"""The filters: each takes candidates and returns those it keeps, or the same with new logits.

p is the softmax of the candidates a filter is given, H the entropy -sum(p ln p). "Off" values
(k = 0, p >= 1, ...) return the candidates unchanged, and the best candidate survives every filter
but typical and xtc. Ties: the lower id ranks first. Mathematics and edge cases as in llama.cpp's
src/llama-sampler.cpp, computed in float64.
"""

import math

import numpy as np

from .candidates import Candidates, leading, softmax, top_positions, weights
from .portable import exp_number, log, total

# A temperature below this gives the same distribution, and divides by zero.
_COLDEST = 1e-150


def top_k(c: Candidates, k: int) -> Candidates:
    """Keep the k largest logits; k <= 0 is off."""
    if k <= 0 or k >= c.ids.size:
        return c
    return c.at(top_positions(c.logits, k))


def top_p(c: Candidates, p: float) -> Candidates:
    """Keep the fewest most probable candidates whose probabilities reach p; p >= 1 is off."""
    if p >= 1.0:
        return c
    w = weights(c)
    return c.at(leading(c.logits, w, p * total(w), beyond=False))


def min_p(c: Candidates, p: float) -> Candidates:
    """Keep the candidates at least p times as probable as the best: logit >= best + ln p."""
    if p <= 0.0:
        return c
    return c.where(c.logits >= c.logits.max() + least(p))


def least(p: float) -> float:
    """Return ln p, by which a logit that min-p keeps may be below the best."""
    return log(min(p, 1.0))


def typical(c: Candidates, p: float) -> Candidates:
    """Keep the fewest candidates nearest to the entropy, |-ln p_i - H|, that exceed mass p."""
    if p >= 1.0:
        return c
    w = weights(c)
    alive = np.flatnonzero(w)
    c, w = c.at(alive), w[alive]
    mass = total(w)
    surprise = log(mass) - (c.logits - c.logits.max())
    entropy = total(w * surprise) / mass
    return c.at(leading(-np.abs(surprise - entropy), w, p * mass, beyond=True))


def top_n_sigma(c: Candidates, n: float) -> Candidates:
    """Keep logits >= best - n * (standard deviation of the logits above -inf); n <= 0 is off."""
    if n <= 0.0:
        return c
    c = c.possible()
    mean = total(c.logits) / c.ids.size
    distance = c.logits - mean
    distance *= distance
    deviation = math.sqrt(total(distance) / c.ids.size)
    return c.where(c.logits >= c.logits.max() - n * deviation)


def xtc(c: Candidates, threshold: float, probability: float, u: float) -> Candidates:
    """Exclude top choices: with this probability drop all candidates with p >= threshold but one.

    The one kept is the least probable of them (the last in rank). u in [0, 1) decides.
    """
    if u >= probability:
        return c
    p = softmax(c).probs
    above = np.flatnonzero((p >= threshold) & (p > 0.0))
    if above.size < 2:
        return c
    least = c.logits[above].min()
    kept = above[c.logits[above] == least][-1]
    keep = np.ones(c.ids.size, dtype=np.bool_)
    keep[above] = False
    keep[kept] = True
    return c.where(keep)


def temperature(c: Candidates, t: float) -> Candidates:
    """Divide the logits by t; t = 0 leaves probability to the best logits only."""
    if t == 1.0:
        return c
    return Candidates(c.ids, c.logits / divisor(t))


def divisor(t: float) -> float:
    """Return what logits are divided by for a temperature."""
    return max(t, _COLDEST)


def dynamic_temperature(c: Candidates, t: float, spread: float, exponent: float) -> Candidates:
    """Apply max(0, t - spread) + (width of the range) * (H / ln n) ** exponent, up to t + spread.

    n counts the candidates above -inf; one candidate alone is left as it is.
    """
    if spread <= 0.0:
        return temperature(c, t)
    alive = c.possible()
    if alive.ids.size < 2:
        return c
    w = weights(alive)
    mass = total(w)
    surprise = log(mass) - (alive.logits - alive.logits.max())
    # Rounding may leave the share of equal logits above 1, and a great power of that is endless.
    share = min(total(w * surprise) / mass / log(alive.ids.size), 1.0)
    low = max(0.0, t - spread)
    return temperature(c, low + (t + spread - low) * _power(share, exponent))


def _power(x: float, exponent: float) -> float:
    if exponent == 0.0:
        return 1.0
    return 0.0 if x <= 0.0 else exp_number(exponent * log(x))
