"""Mirostat 1 and 2: cut candidates so that the surprise -log2 p of what is drawn stays near tau.

After each token mu moves by -eta * (surprise - tau), from 2 tau at the start. Version 2 keeps the
candidates with surprise <= mu. Version 1 estimates the exponent s of Zipf's law from the 100 best
candidates and keeps the k best, k = ((e * 2**mu) / (1 - N**-e)) ** (1/s), e = s - 1, N = n_vocab.
Papers: Basu et al., arXiv:2007.14966; edge cases as in llama.cpp's src/llama-sampler.cpp, with
limits where its formula divides by zero.
"""

import numpy as np

from .candidates import Candidates, ranked, weights
from .filters import top_k
from .params import Mirostat
from .portable import LN2, exp_number, log, total

_ZIPF_CANDIDATES = 100
_ZIPF_STEPS = np.array([log((i + 2) / (i + 1)) for i in range(_ZIPF_CANDIDATES - 1)])


def mirostat_1(c: Candidates, mu: float, n_vocab: int) -> Candidates:
    """Keep the k most probable candidates, k from the estimated exponent of Zipf's law."""
    c = c.possible()
    ln_k = _ln_k(_zipf_exponent(c), mu, n_vocab)
    if ln_k >= log(c.ids.size):
        return c
    return top_k(c, max(1, int(exp_number(ln_k))))


def mirostat_2(c: Candidates, mu: float) -> Candidates:
    """Keep the candidates with surprise up to mu, or the best alone."""
    c = c.possible()
    below = c.logits.max() - c.logits
    surprise = (log(total(weights(c))) + below) / LN2
    kept = surprise <= mu
    return c.where(kept) if kept.any() else top_k(c, 1)


class MirostatState:
    """The running mu, and the stage that it rules."""

    name = "mirostat"
    observes_original = False

    def __init__(self, params: Mirostat, n_vocab: int) -> None:
        self._params = params
        self._n_vocab = n_vocab
        self.mu = 2.0 * params.tau

    def apply(self, c: Candidates) -> Candidates:
        """Cut the candidates by the present mu."""
        if self._params.version == 1:
            return mirostat_1(c, self.mu, self._n_vocab)
        return mirostat_2(c, self.mu)

    def accept(self, probability: float) -> None:
        """Move mu after a token that had this probability among the kept ones; 0: not at all."""
        if probability <= 0.0:
            return
        surprise = -log(probability) / LN2
        self.mu -= self._params.eta * (surprise - self._params.tau)


def _zipf_exponent(c: Candidates) -> float:
    best = c.logits[ranked(c.logits, _ZIPF_CANDIDATES)]
    falls = best[:-1] - best[1:]
    if not falls.size:
        return 0.0
    steps = _ZIPF_STEPS[: falls.size]
    return total(steps * falls) / total(steps * steps)


def _ln_k(s: float, mu: float, n_vocab: int) -> float:
    e, ln_n = s - 1.0, log(n_vocab)
    # e / (1 - N**-e) is 1 / ln N in the limit e = 0 (and N = 1 has but one candidate).
    spread = 1.0 - exp_number(-e * ln_n)
    ln_power = mu * LN2 + (log(e / spread) if abs(e * ln_n) > 1e-9 else -log(max(ln_n, 1e-9)))
    if s > 0.0:
        return ln_power / s
    return np.inf if ln_power > 0.0 else 0.0
