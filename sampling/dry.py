"""DRY (don't repeat yourself): lower each token that would continue a repeated sequence.

If the last n tokens of the window also stand earlier in it, followed by token t, then t loses
multiplier * base ** (n - allowed_length), for the greatest such n >= allowed_length. A sequence
never reaches back over a breaker, a piece of text such as a line break: n counts only tokens after
the one in which the last breaker ends, and tokens that contain a breaker are never lowered.
Breakers are found in the bytes of the tokens, so it does not matter how the text was tokenized.
"""

from collections.abc import Callable, Sequence
from copy import copy

import numpy as np

from .candidates import Candidates
from .params import Dry
from .penalties import add, bounded
from .portable import F64, I64, log, power

# ln of the greatest float32: no penalty goes beyond it, as in llama.cpp.
_LARGEST_LN = 88.7228391

_NONE = np.empty(0, dtype=np.int64)


class Repeats:
    """The window of recent tokens, how far each place in it matches the end, and the breakers.

    lengths[i] = length of the longest common suffix of window[: i + 1] and the whole window; it
    may count tokens that have left the window. Arrays are replaced, never written.
    """

    def __init__(self, params: Dry, token_bytes: Callable[[int], bytes] | None) -> None:
        self._params = params
        self._breakers = Breakers([text.encode() for text in params.breakers], token_bytes)
        self._window = _NONE
        self._lengths = _NONE
        self._penalties: tuple[I64, F64] | None = None

    def accept(self, token: int) -> None:
        """Append one token: every place that holds it matches one token further than before."""
        self._penalties = None
        self._breakers.accept(token)
        if self._window.size:
            reached = np.concatenate(([1], self._lengths + 1))
            self._lengths = np.where(self._window == token, reached, 0)
        self._window = np.append(self._window, token)
        self._forget()

    def extend(self, tokens: Sequence[int]) -> None:
        """Append many tokens."""
        self._penalties = None
        for token in tokens:
            self._breakers.accept(token)
        self._window = np.append(self._window, np.array(tokens, dtype=np.int64))
        self._lengths = _NONE
        self._forget()
        self._lengths = suffix_lengths(self._window.tolist())

    def penalties(self) -> tuple[I64, F64]:
        """Return ascending ids and what each one's logit loses."""
        if self._penalties is None:
            self._penalties = self._find_penalties()
        return self._penalties

    def copy(self) -> "Repeats":
        """Return an independent copy."""
        other = copy(self)
        other._breakers = copy(self._breakers)
        return other

    def _forget(self) -> None:
        if self._params.last_n < 0:
            return
        keep = self._params.last_n
        self._window = self._window[-keep:]
        self._lengths = self._lengths[max(0, self._lengths.size + 1 - keep) :]

    def _find_penalties(self) -> tuple[I64, F64]:
        longest = self._continuations()
        ids = sorted(token for token in longest if not self._breakers.contained_in(token))
        excess = [longest[token] - self._params.allowed_length for token in ids]
        return np.array(ids, dtype=np.int64), self._amounts(excess)

    def _continuations(self) -> dict[int, int]:
        # Token -> the longest repeated sequence that it would continue.
        n = self._window.size
        limit = min(n, self._breakers.tokens_since)
        if n <= self._params.allowed_length or limit < self._params.allowed_length:
            return {}
        lengths = np.minimum(np.minimum(self._lengths, np.arange(1, n)), limit)
        ends = np.flatnonzero(lengths >= self._params.allowed_length)
        ends = ends[np.argsort(lengths[ends], kind="stable")]
        # The last of equal keys stays: the longest.
        return dict(zip(self._window[ends + 1].tolist(), lengths[ends].tolist(), strict=True))

    def _amounts(self, excess: Sequence[int]) -> F64:
        base = self._params.base
        most = int(_LARGEST_LN / log(base)) if base > 1.000001 else max(excess, default=0)
        powers = [power(base, min(n, most)) for n in excess]
        return bounded(self._params.multiplier) * np.array(powers, dtype=np.float64)


class Breakers:
    """Texts that end a sequence, and the number of tokens since one of them last ended."""

    def __init__(self, texts: Sequence[bytes], token_bytes: Callable[[int], bytes] | None) -> None:
        if texts and token_bytes is None:
            raise ValueError("dry.breakers: found texts, expected none without token_bytes")
        self._texts = tuple(texts)
        self._token_bytes = token_bytes
        self._tail = b""
        self.tokens_since = 0

    def accept(self, token: int) -> None:
        """Count one more token, from 0 again if a breaker ends in it."""
        self.tokens_since += 1
        if not self._texts or self._token_bytes is None:
            return
        new = self._token_bytes(token)
        if any(text in _last(self._tail, len(text) - 1) + new for text in self._texts):
            self.tokens_since = 0
        self._tail = _last(self._tail + new, max(map(len, self._texts)) - 1)

    def contained_in(self, token: int) -> bool:
        """Return whether the token alone holds a breaker."""
        if not self._texts or self._token_bytes is None:
            return False
        held = self._token_bytes(token)
        return any(text in held for text in self._texts)


def lower_repeats(c: Candidates, repeats: Repeats) -> Candidates:
    """Take from each token that would continue a repeated sequence its penalty."""
    ids, amounts = repeats.penalties()
    return add(c, ids, -amounts)


def suffix_lengths(tokens: Sequence[int]) -> I64:
    """Return, for each i but the last, how long tokens[: i + 1] and tokens end alike.

    The Z-algorithm from the right, linear in the number of tokens.
    """
    text = tokens[::-1]
    z = [0] * len(text)
    left = right = 0
    for k in range(1, len(text)):
        n = min(z[k - left], right - k) if k < right else 0
        while k + n < len(text) and text[n] == text[k + n]:
            n += 1
        z[k] = n
        if k + n > right:
            left, right = k, k + n
    return np.array(z[:0:-1], dtype=np.int64)


def _last(data: bytes, n: int) -> bytes:
    return data[-n:] if n else b""
