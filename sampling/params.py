"""Sampling parameters: names, ranges and defaults of the prediction config, checked when built.

Names are the config's in snake_case; "off" is None. Errors name the field, what was found and what
was expected.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

STAGES = (
    "bias",
    "penalties",
    "dry",
    "topNSigma",
    "topK",
    "typical",
    "topP",
    "minP",
    "xtc",
    "temperature",
)

_GREATEST = sys.float_info.max


@dataclass(frozen=True, kw_only=True)
class Dry:
    """Penalty on continued repetition; `last_n` -1 = all tokens, 0 = off."""

    multiplier: float = 0.0
    base: float = 1.75
    allowed_length: int = 2
    last_n: int = 64
    breakers: tuple[str, ...] = ("\n", ":", '"', "*")

    def __post_init__(self) -> None:
        _number("dry.multiplier", self.multiplier, low=0.0)
        _number("dry.base", self.base, low=1.0)
        _integer("dry.allowed_length", self.allowed_length, low=0)
        _integer("dry.last_n", self.last_n, low=-1)
        for text in self.breakers:
            if not isinstance(text, str) or not text:
                raise ValueError(f"dry.breakers: found {text!r}, expected texts that are not empty")


@dataclass(frozen=True, kw_only=True)
class DynamicTemperature:
    """Temperature from t - range to t + range by entropy ** exponent."""

    range: float = 0.0
    exponent: float = 1.0

    def __post_init__(self) -> None:
        _number("dynamic_temperature.range", self.range, low=0.0)
        _number("dynamic_temperature.exponent", self.exponent, low=0.0)


@dataclass(frozen=True, kw_only=True)
class Mirostat:
    """Target surprise tau in bits, learning rate eta; version 1 or 2."""

    version: int
    tau: float = 5.0
    eta: float = 0.1

    def __post_init__(self) -> None:
        _integer("mirostat.version", self.version, low=1, high=2)
        _number("mirostat.tau", self.tau, low=0.0)
        _number("mirostat.eta", self.eta, low=0.0)


@dataclass(frozen=True, kw_only=True)
class AdaptiveP:
    """Target probability, and how much of its history each step keeps."""

    target: float
    decay: float = 0.9

    def __post_init__(self) -> None:
        _number("adaptive_p.target", self.target, low=0.0, high=1.0)
        _number("adaptive_p.decay", self.decay, low=0.0, high=0.99)


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """Everything that decides the next token, with the prediction config's defaults.

    `temperature` 0 is greedy: the best logit after the mask and the stages bias, penalties and dry;
    the filters, mirostat and adaptive_p do not run. With `mirostat` the stages topNSigma, topK,
    typical, topP, minP and xtc do not run (it is itself the cut); it and `adaptive_p` come after
    all `samplers`. A stage absent from `samplers` does not run.
    """

    temperature: float = 0.8
    top_k_sampling: int | None = 40
    top_p_sampling: float | None = 0.95
    min_p_sampling: float | None = 0.05
    repeat_penalty: float | None = 1.1
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    xtc_probability: float | None = None
    xtc_threshold: float | None = 0.1
    typical_p: float | None = None
    top_n_sigma: float | None = None
    dry: Dry | None = None
    dynamic_temperature: DynamicTemperature | None = None
    mirostat: Mirostat | None = None
    adaptive_p: AdaptiveP | None = None
    samplers: tuple[str, ...] = STAGES
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    logprobs: int = 0
    logprobs_at: str = "raw"

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, low=0.0)
        self._check_filters()
        self._check_penalties()
        if self.mirostat is not None and self.adaptive_p is not None:
            raise ValueError("mirostat and adaptive_p: found both, expected one: each draws last")
        _check_samplers(self.samplers)
        _check_logit_bias(self.logit_bias)
        if self.seed is not None:
            _integer("seed", self.seed)
        _integer("logprobs", self.logprobs, low=0)
        if self.logprobs_at not in ("raw", "sampled"):
            found = repr(self.logprobs_at)
            raise ValueError(f"logprobs_at: found {found}, expected 'raw' or 'sampled'")

    def _check_filters(self) -> None:
        if self.top_k_sampling is not None:
            _integer("top_k_sampling", self.top_k_sampling, low=0)
        _number_or_off("top_p_sampling", self.top_p_sampling, above=0.0, high=1.0)
        _number_or_off("min_p_sampling", self.min_p_sampling, low=0.0, high=1.0)
        _number_or_off("xtc_probability", self.xtc_probability, low=0.0, high=1.0)
        _number_or_off("xtc_threshold", self.xtc_threshold, low=0.0, high=1.0)
        _number_or_off("typical_p", self.typical_p, above=0.0, high=1.0)
        _number_or_off("top_n_sigma", self.top_n_sigma, above=0.0)

    def _check_penalties(self) -> None:
        _number_or_off("repeat_penalty", self.repeat_penalty, above=0.0)
        _integer("repeat_last_n", self.repeat_last_n, low=-1)
        _number("presence_penalty", self.presence_penalty)
        _number("frequency_penalty", self.frequency_penalty)


def _number(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    above: float | None = None,
    high: float = math.inf,
) -> None:
    inside = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and max(low, -_GREATEST) <= value <= min(high, _GREATEST)
        and (above is None or value > above)
    )
    if inside:
        return
    raise ValueError(f"{name}: found {value!r}, expected {_range(low, above, high)}")


def _number_or_off(name: str, value: object, **limits: float) -> None:
    if value is not None:
        _number(name, value, **limits)


def _integer(name: str, value: object, *, low: int | None = None, high: int | None = None) -> None:
    inside = (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (low is None or value >= low)
        and (high is None or value <= high)
    )
    if inside:
        return
    limits = "" if low is None else f" >= {low}" if high is None else f" from {low} to {high}"
    raise ValueError(f"{name}: found {value!r}, expected an integer{limits}")


def _range(low: float, above: float | None, high: float) -> str:
    lower = f"> {above:g}" if above is not None else f">= {low:g}" if low > -math.inf else ""
    upper = f"<= {high:g}" if high < math.inf else ""
    limits = " and ".join(part for part in (lower, upper) if part)
    return f"a number {limits}" if limits else "a finite number"


def _check_samplers(samplers: tuple[str, ...]) -> None:
    for name in samplers:
        if name not in STAGES:
            raise ValueError(f"samplers: found {name!r}, expected names out of {', '.join(STAGES)}")
    if len(set(samplers)) < len(samplers):
        raise ValueError(f"samplers: found {list(samplers)}, expected each stage at most once")


def _check_logit_bias(logit_bias: Mapping[int, float]) -> None:
    for token, bias in logit_bias.items():
        _integer("logit_bias", token, low=0)
        if bias != -math.inf:
            _number(f"logit_bias[{token}]", bias)
