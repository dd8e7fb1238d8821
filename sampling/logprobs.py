"""Log-probabilities of a chosen token and of the best ones: ln p, before or after the chain.

Raw: ln p = logit - ln(sum of e**logit) over the model's own row, with no mask, bias or filter.
Sampled: ln of the probability with which the chain draws the token; -inf if it cannot.
"""

from typing import NamedTuple

import numpy as np

from .candidates import F32, Distribution, ranked
from .portable import exp, log, total


class TokenLogprob(NamedTuple):
    """A token id and ln of its probability."""

    token: int
    logprob: float


class Logprobs(NamedTuple):
    """The chosen token, and the most probable ones in falling order (equal: lower id first)."""

    token: int
    logprob: float
    top: tuple[TokenLogprob, ...]


def raw_logprobs(logits: F32, token: int, count: int) -> Logprobs:
    """Return ln softmax of the model's row at the token and at the `count` best."""
    values = logits.astype(np.float64)
    best = values.max()
    values -= best
    scale = log(total(exp(values)))
    top = [TokenLogprob(int(i), float(values[i]) - scale) for i in ranked(values, count)]
    return Logprobs(token, float(values[token]) - scale, tuple(top))


def sampled_logprobs(drawn: Distribution, token: int, count: int) -> Logprobs:
    """Return ln of the chain's own probabilities at the token and at the `count` best."""
    best = ranked(drawn.probs, count)
    top = [TokenLogprob(int(drawn.ids[i]), log(float(drawn.probs[i]))) for i in best]
    return Logprobs(token, log(drawn.probability(token)), tuple(top))
