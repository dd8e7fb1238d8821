"""The chain: the active stages in the order of `samplers`, each a function of candidates and state.

Stages that only edit logits say which ids they touch; whole.py says what that saves.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import filters
from .candidates import Candidates
from .draw import Stream, uniform
from .dry import Repeats, lower_repeats
from .params import SamplingParams
from .penalties import add, bounded, penalise
from .portable import I64
from .state import State


class Stage(NamedTuple):
    """One step of the chain; `touches` gives the ids an edit changes and is None for a filter.

    `number` is what `kernels/chain_of_few.py` takes of a step that it has.
    """

    name: str
    apply: Callable[[Candidates, State], Candidates]
    touches: Callable[[State], I64] | None = None
    number: float | None = None


def build_chain(params: SamplingParams, seed: int) -> tuple[Stage, ...]:
    """Return the stages that do anything, in order: greedy has edits only, mirostat no filters."""
    stages = [_BUILDERS[name](params, seed) for name in params.samplers]
    active = [stage for stage in stages if stage is not None]
    if params.temperature == 0.0:
        return tuple(stage for stage in active if stage.touches)
    if params.mirostat is not None:
        return tuple(stage for stage in active if stage.touches or stage.name == "temperature")
    return tuple(active)


def _bias(params: SamplingParams, _: int) -> Stage | None:
    if not params.logit_bias:
        return None
    ids = np.array(sorted(params.logit_bias), dtype=np.int64)
    amounts = np.array([bounded(params.logit_bias[token]) for token in ids.tolist()])
    return Stage("bias", lambda c, _: add(c, ids, amounts), lambda _: ids)


def _penalties(params: SamplingParams, _: int) -> Stage | None:
    repeat = 1.0 if params.repeat_penalty is None else params.repeat_penalty
    repeat = max(bounded(repeat), 1.0 / bounded(math.inf))
    frequency, presence = bounded(params.frequency_penalty), bounded(params.presence_penalty)
    if params.repeat_last_n == 0 or (repeat, frequency, presence) == (1.0, 0.0, 0.0):
        return None
    return Stage(
        "penalties",
        lambda c, state: penalise(c, state.window, repeat, frequency, presence),
        lambda state: state.window.table()[0],
    )


def _dry(params: SamplingParams, _: int) -> Stage | None:
    dry = params.dry
    if dry is None or dry.multiplier == 0.0 or dry.last_n == 0:
        return None
    return Stage(
        "dry",
        lambda c, state: lower_repeats(c, _repeats(state)),
        lambda state: _repeats(state).penalties()[0],
    )


def _repeats(state: State) -> Repeats:
    if state.repeats is None:
        raise TypeError("dry: found a state without repeats, expected one made for this chain")
    return state.repeats


def _top_n_sigma(params: SamplingParams, _: int) -> Stage | None:
    n = params.top_n_sigma
    return None if n is None else Stage("topNSigma", lambda c, _: filters.top_n_sigma(c, n))


def _top_k(params: SamplingParams, _: int) -> Stage | None:
    k = params.top_k_sampling
    return None if not k else Stage("topK", lambda c, _: filters.top_k(c, k))


def _typical(params: SamplingParams, _: int) -> Stage | None:
    p = params.typical_p
    return None if p in (None, 1.0) else Stage("typical", lambda c, _: filters.typical(c, p))


def _top_p(params: SamplingParams, _: int) -> Stage | None:
    p = params.top_p_sampling
    if p is None or p >= 1.0:
        return None
    return Stage("topP", lambda c, _: filters.top_p(c, p), number=p)


def _min_p(params: SamplingParams, _: int) -> Stage | None:
    p = params.min_p_sampling
    if not p:
        return None
    return Stage("minP", lambda c, _: filters.min_p(c, p), number=filters.least(p))


def _xtc(params: SamplingParams, seed: int) -> Stage | None:
    probability, threshold = params.xtc_probability, params.xtc_threshold
    if not probability or threshold is None:
        return None
    return Stage(
        "xtc",
        lambda c, state: filters.xtc(
            c, threshold, probability, uniform(seed, state.position, Stream.XTC)
        ),
    )


def _temperature(params: SamplingParams, _: int) -> Stage | None:
    t, dynamic = params.temperature, params.dynamic_temperature
    if dynamic is not None and dynamic.range > 0.0:
        spread, exponent = dynamic.range, dynamic.exponent
        return Stage(
            "temperature", lambda c, _: filters.dynamic_temperature(c, t, spread, exponent)
        )
    if t == 1.0:
        return None
    return Stage("temperature", lambda c, _: filters.temperature(c, t), number=filters.divisor(t))


_BUILDERS: dict[str, Callable[[SamplingParams, int], Stage | None]] = {
    "bias": _bias,
    "penalties": _penalties,
    "dry": _dry,
    "topNSigma": _top_n_sigma,
    "topK": _top_k,
    "typical": _typical,
    "topP": _top_p,
    "minP": _min_p,
    "xtc": _xtc,
    "temperature": _temperature,
}
