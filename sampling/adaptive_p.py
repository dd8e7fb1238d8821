"""Adaptive-p: prefer tokens whose probability is near a target, followed over time.

New logit = 5 - 10 d**2 / (1 + d), d = |p - t| / 0.3, with t = 2 target - (weighted mean of the
original probabilities of the tokens drawn so far), limited to [0, 1]; a token n steps ago weighs
decay**n, and before the first one the mean is the target. Source: llama.cpp #17927.
"""

import numpy as np

from .candidates import Candidates, softmax
from .params import AdaptiveP

_WIDTH = 0.3
_PEAK = 5.0
_SHARPNESS = 10.0


def adapt(c: Candidates, target: float) -> Candidates:
    """Give each candidate above -inf a logit by the distance of its probability from the target."""
    c = c.possible()
    distance = np.abs(softmax(c).probs - target) / _WIDTH
    return Candidates(c.ids, _PEAK - _SHARPNESS * distance * distance / (1.0 + distance))


class AdaptivePState:
    """The weighted mean of the probabilities drawn, and the stage that it rules."""

    name = "adaptiveP"
    observes_original = True

    def __init__(self, params: AdaptiveP) -> None:
        self._params = params
        self._sum = params.target / (1.0 - params.decay)
        self._weight = 1.0 / (1.0 - params.decay)

    def apply(self, c: Candidates) -> Candidates:
        """Give the candidates their new logits."""
        target = 2.0 * self._params.target - self._sum / self._weight
        return adapt(c, min(max(target, 0.0), 1.0))

    def accept(self, probability: float) -> None:
        """Move the mean after a token whose original probability was this; 0: not at all."""
        if probability <= 0.0:
            return
        self._sum = probability + self._params.decay * self._sum
        self._weight = 1.0 + self._params.decay * self._weight
