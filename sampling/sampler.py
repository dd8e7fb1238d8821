"""A sampler: one row of logits in, one token id out; same seed and same text, same ids everywhere.

pick(logits) = draw(softmax(chain(mask(logits))), uniform(seed, position)). The chain's order is
params.samplers (see chain.py), the random numbers and the draw are draw.py's. A pick changes
nothing: only `accept` moves the state, so picking twice gives the same id, and a draft that is
refused costs nothing. n independent answers have n seeds; neighbouring seeds are unrelated. One
sampler belongs to one sequence, and to one thread at a time.
"""

import secrets
from collections.abc import Callable, Iterable
from operator import index
from typing import Any, NamedTuple, Protocol

import numpy as np

from .candidates import F32, SHORT, Candidates, Distribution, softmax
from .chain import build_chain
from .draw import Stream, draw, uniform
from .errors import SamplingError
from .few import few_left
from .filters import top_k
from .logprobs import Logprobs, raw_logprobs, sampled_logprobs
from .params import SamplingParams
from .portable import F64, I64
from .state import State
from .whole import check_shape, check_values, checked_top, whole

__all__ = ["Mask", "Sampler", "SamplingParams", "Snapshot", "TraceStep"]

_NO_PATCH = Candidates(np.empty(0, dtype=np.int64), np.empty(0))
_CERTAIN = np.ones(1)


class Mask(Protocol):
    """A grammar: which ids may come next. `snapshot()` and `restore(s)` too if it can rewind."""

    def apply(self, logits: F32) -> None:
        """Set the logits of forbidden ids to -inf, in place."""

    def accept(self, token: int) -> None:
        """Move on by one token."""

    def allows(self, token: int) -> bool:
        """Return whether the token may come next."""


class TraceStep(NamedTuple):
    """The candidates after one stage: ascending ids and their logits."""

    stage: str
    ids: I64
    logits: F64

    @property
    def probs(self) -> F64:
        """The softmax of the logits."""
        return softmax(Candidates(self.ids, self.logits)).probs


Trace = list[TraceStep] | None


class Snapshot(NamedTuple):
    """A sampler's state, for `Sampler.restore`; any number of times, in any order."""

    state: State
    mask: Any


class Sampler:
    """Picks the token ids of one answer.

    `token_bytes` gives the bytes of a token, for DRY's breakers. With `mask` the result is exactly
    that of the chain on masked logits. `stream` separates the draws of a draft model from those of
    its target (rejection sampling needs that; drafts to be matched do best with the same stream).
    `logprobs` belongs to the last pick, and is None unless params.logprobs asks for it.
    """

    logprobs: Logprobs | None = None

    def __init__(
        self,
        params: SamplingParams,
        n_vocab: int,
        *,
        token_bytes: Callable[[int], bytes] | None = None,
        mask: Mask | None = None,
        stream: Stream = Stream.DRAW,
    ) -> None:
        _check_bias(params, n_vocab)
        self.params = params
        self.seed = secrets.randbits(64) if params.seed is None else params.seed
        self._n_vocab = n_vocab
        self._ids = np.arange(n_vocab)
        self._row = np.empty(n_vocab, dtype=np.float32)
        self._mask = mask
        self._stream = stream
        self._chain = build_chain(params, self.seed)
        self._state = State(params, n_vocab, token_bytes, [s.name for s in self._chain])
        edits = [stage.touches is not None for stage in self._chain]
        self._leading_edits = [*edits, False].index(False)
        stages = [stage.name for stage in self._chain]
        self._cuts_first = stages[self._leading_edits :][:1] == ["topK"]
        rest = self._chain[self._leading_edits + 1 :]
        few = self._cuts_first and (params.top_k_sampling or 0) <= SHORT
        self._few_left = few_left(rest) if few and self._state.ending is None else None

    @property
    def position(self) -> int:
        """The number of tokens accepted since the prompt; it keys the random numbers."""
        return self._state.position

    def accept_prompt(self, ids: Iterable[int]) -> None:
        """Take the prompt's tokens into the penalties' windows; the mask does not see them."""
        self._state.extend([self._checked(token) for token in ids])

    def pick(self, logits: F32, *, trace: Trace = None) -> int:
        """Return the next token's id for logits float32[n_vocab], which stay as they are.

        `trace` receives the candidates after every stage. Raises SamplingError on NaN, +inf,
        a wrong shape or type, or when no token is left.
        """
        drawn = self.distribution(logits, trace=trace)
        if drawn.ids.size == 1:
            token = int(drawn.ids[0])
        else:
            token = draw(drawn, uniform(self.seed, self.position, self._stream))
        self.logprobs = self._logprobs(logits, drawn, token) if self.params.logprobs else None
        return token

    def distribution(self, logits: F32, *, trace: Trace = None) -> Distribution:
        """Return the probabilities with which `pick` chooses; one id alone when greedy."""
        check_shape(logits, self._n_vocab)
        if self.params.temperature == 0.0:
            return self._greedy(logits, trace)
        return self._sampled(logits, trace)

    def logprobs_of(self, logits: F32, token: int) -> Logprobs:
        """Return a token's logprobs of the kind params.logprobs_at names; call before `accept`."""
        return self._logprobs(logits, self.distribution(logits), self._checked(token))

    def accept(self, token: int) -> None:
        """Take the answer's next token, picked here or not."""
        token = self._checked(token)
        if self._mask is not None:
            self._mask.accept(token)
        self._state.accept(token)

    def snapshot(self) -> Snapshot:
        """Return the present state, mask included."""
        mask = None if self._mask is None else _rewindable(self._mask).snapshot()
        return Snapshot(self._state.copy(), mask)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a state of this sampler."""
        if not isinstance(snapshot, Snapshot):
            raise SamplingError(f"restore: found {type(snapshot).__name__}, expected a Snapshot")
        if self._mask is not None:
            _rewindable(self._mask).restore(snapshot.mask)
        self._state = snapshot.state.copy()

    def _sampled(self, logits: F32, trace: Trace) -> Distribution:
        if self._few_left and trace is None:
            return self._few_left(self._begin(logits)[0])
        c = self._run(logits, trace)
        ending = self._state.ending
        if ending is None:
            return softmax(c)
        cut = ending.apply(c)
        _note(trace, ending.name, cut)
        drawn = softmax(cut)
        self._state.observed = softmax(c) if ending.observes_original else drawn
        return drawn

    def _greedy(self, logits: F32, trace: Trace) -> Distribution:
        if trace is not None:
            c = top_k(self._run(logits, trace), 1)
            _note(trace, "greedy", c)
            return Distribution(c.ids, _CERTAIN)
        token, logit = self._best(logits)
        # The best of all ids, if the mask allows it, is the best of the allowed ones, for edits
        # are made id by id: one id checked instead of a whole mask. No such rule holds once sums
        # over candidates matter, so elsewhere the mask comes first.
        if self._mask is not None and not self._mask.allows(token):
            token, logit = self._best(self._masked(logits))
        self._check_left(logit, "bias and penalties")
        return Distribution(np.array([token]), _CERTAIN)

    def _best(self, row: F32) -> tuple[int, float]:
        patch = self._patch(row)
        if patch.ids.size:
            c = checked_top(row, patch, 1, self.position)
            return int(c.ids[0]), float(c.logits[0])
        token = int(row.argmax())
        check_values(row, float(row[token]), self.position)
        return token, float(row[token])

    def _masked(self, logits: F32) -> F32:
        if self._mask is None:
            return logits
        np.copyto(self._row, logits)
        self._mask.apply(self._row)
        return self._row

    def _run(self, logits: F32, trace: Trace) -> Candidates:
        c, done = self._begin(logits) if trace is None else (self._unedited(logits, trace), 0)
        for stage in self._chain[done:]:
            c = stage.apply(c, self._state)
            _note(trace, stage.name, c)
            if stage.touches is not None:  # a filter leaves something of what it is given
                self._check_left(float(c.logits.max()), stage.name)
        return c

    def _begin(self, logits: F32) -> tuple[Candidates, int]:
        # The leading edits, and top-k if it follows, without a copy of the row.
        row = self._masked(logits)
        if row is not logits or not self._cuts_first:
            check_values(logits, float(logits.max()), self.position)
        patch, done = self._patch(row), self._leading_edits
        if self._cuts_first:
            k, done = self.params.top_k_sampling or 0, done + 1
            c = checked_top(row, patch, k, self.position)
        else:
            c = whole(row, patch, self._ids)
        self._check_left(float(c.logits.max()), "the first stages")
        return c, done

    def _unedited(self, logits: F32, trace: list[TraceStep]) -> Candidates:
        check_values(logits, float(logits.max()), self.position)
        c = whole(self._masked(logits), _NO_PATCH, self._ids)
        _note(trace, "logits", whole(logits, _NO_PATCH, self._ids))
        _note(trace, "mask", c)
        self._check_left(float(c.logits.max()), "the mask")
        return c

    def _patch(self, row: F32) -> Candidates:
        edits = self._chain[: self._leading_edits]
        touched = [stage.touches(self._state) for stage in edits if stage.touches]
        if not any(ids.size for ids in touched):
            return _NO_PATCH
        ids = touched[0] if len(touched) == 1 else np.unique(np.concatenate(touched))
        patch = Candidates(ids, row[ids].astype(np.float64))
        for stage in edits:
            patch = stage.apply(patch, self._state)
        return patch

    def _check_left(self, best_logit: float, stage: str) -> None:
        if best_logit == -np.inf:
            raise SamplingError(
                f"no token left at output position {self.position}: every logit is -inf after"
                f" {stage}; expected one that logit_bias, the mask and the model all allow"
            )

    def _checked(self, token: int) -> int:
        token = index(token)
        if not 0 <= token < self._n_vocab:
            last = self._n_vocab - 1
            raise SamplingError(f"token: found {token}, expected an id from 0 to {last}")
        return token

    def _logprobs(self, logits: F32, drawn: Distribution, token: int) -> Logprobs:
        if self.params.logprobs_at == "raw":
            return raw_logprobs(logits, token, self.params.logprobs)
        return sampled_logprobs(drawn, token, self.params.logprobs)


def _note(trace: Trace, stage: str, c: Candidates) -> None:
    if trace is not None:
        trace.append(TraceStep(stage, c.ids, c.logits))


def _check_bias(params: SamplingParams, n_vocab: int) -> None:
    for token in params.logit_bias:
        if token >= n_vocab:
            raise SamplingError(f"logit_bias: found id {token}, expected ids below {n_vocab}")


def _rewindable(mask: Any) -> Any:
    if hasattr(mask, "snapshot") and hasattr(mask, "restore"):
        return mask
    raise SamplingError(f"{type(mask).__name__}: found no snapshot and restore, expected both")
