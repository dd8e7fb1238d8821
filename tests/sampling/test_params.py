"""Sampling parameters: defaults, ranges, errors that name the field."""

import math

import pytest

from gnomon.sampling.params import (
    STAGES,
    AdaptiveP,
    Dry,
    DynamicTemperature,
    Mirostat,
    SamplingParams,
)


def test_defaults_are_the_prediction_config_s() -> None:
    p = SamplingParams()
    assert (p.temperature, p.top_k_sampling, p.top_p_sampling, p.min_p_sampling) == (
        0.8,
        40,
        0.95,
        0.05,
    )
    assert (p.repeat_penalty, p.repeat_last_n, p.xtc_threshold) == (1.1, 64, 0.1)
    assert (p.dry, p.mirostat, p.adaptive_p, p.dynamic_temperature) == (None,) * 4
    assert (p.seed, p.logprobs, p.logprobs_at) == (None, 0, "raw")


def test_the_order_of_stages_is_the_prediction_config_s() -> None:
    assert " ".join(STAGES) == "bias penalties dry topNSigma topK typical topP minP xtc temperature"


def test_defaults_of_the_nested_groups() -> None:
    dry = Dry()
    assert (dry.multiplier, dry.base, dry.allowed_length, dry.last_n) == (0.0, 1.75, 2, 64)
    assert dry.breakers == ("\n", ":", '"', "*")
    assert (DynamicTemperature().range, DynamicTemperature().exponent) == (0.0, 1.0)
    assert (Mirostat(version=2).tau, Mirostat(version=2).eta) == (5.0, 0.1)
    assert AdaptiveP(target=0.5).decay == 0.9


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("temperature", -0.1, "a number >= 0"),
        ("temperature", math.nan, "a number >= 0"),
        ("temperature", math.inf, "a number >= 0"),
        ("temperature", "hot", "a number >= 0"),
        ("temperature", True, "a number >= 0"),
        ("temperature", 10**400, "a number >= 0"),
        ("top_k_sampling", -1, "an integer >= 0"),
        ("top_k_sampling", 40.0, "an integer >= 0"),
        ("top_p_sampling", 0.0, "a number > 0 and <= 1"),
        ("top_p_sampling", 1.01, "a number > 0 and <= 1"),
        ("min_p_sampling", -0.01, "a number >= 0 and <= 1"),
        ("repeat_penalty", 0, "a number > 0"),
        ("repeat_last_n", -2, "an integer >= -1"),
        ("presence_penalty", math.inf, "a finite number"),
        ("frequency_penalty", None, "a finite number"),
        ("xtc_probability", 2, "a number >= 0 and <= 1"),
        ("xtc_threshold", -1, "a number >= 0 and <= 1"),
        ("typical_p", 0, "a number > 0 and <= 1"),
        ("top_n_sigma", 0, "a number > 0"),
        ("samplers", ("topK", "top-p"), "names out of bias"),
        ("samplers", ("topK", "topK"), "each stage at most once"),
        ("logit_bias", {-1: 1.0}, "an integer >= 0"),
        ("logit_bias", {5: math.inf}, "a finite number"),
        ("logit_bias", {5: math.nan}, "a finite number"),
        ("seed", 1.5, "an integer"),
        ("logprobs", -1, "an integer >= 0"),
        ("logprobs_at", "after", "'raw' or 'sampled'"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(
    field: str, value: object, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}.*: found .*, expected {expected}"):
        SamplingParams(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "fields", "expected"),
    [
        (Dry, {"multiplier": -1}, r"dry\.multiplier: found -1, expected a number >= 0"),
        (Dry, {"base": 0.5}, r"dry\.base: found 0\.5, expected a number >= 1"),
        (Dry, {"allowed_length": -1}, r"dry\.allowed_length"),
        (Dry, {"last_n": -2}, r"dry\.last_n"),
        (Dry, {"breakers": ("",)}, r"dry\.breakers: found '', expected texts"),
        (DynamicTemperature, {"range": -1}, r"dynamic_temperature\.range"),
        (DynamicTemperature, {"exponent": -1}, r"dynamic_temperature\.exponent"),
        (Mirostat, {"version": 3}, r"mirostat\.version: found 3, expected an integer from 1 to 2"),
        (Mirostat, {"version": 1, "tau": -1}, r"mirostat\.tau"),
        (AdaptiveP, {"target": 1.5}, r"adaptive_p\.target"),
        (AdaptiveP, {"target": 0.5, "decay": 1.0}, r"adaptive_p\.decay.* >= 0 and <= 0\.99"),
    ],
)
def test_a_nested_value_out_of_range_is_named(
    group: type, fields: dict[str, object], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        group(**fields)


def test_a_ban_is_a_bias_of_minus_infinity() -> None:
    assert SamplingParams(logit_bias={3: -math.inf}).logit_bias == {3: -math.inf}


def test_mirostat_and_adaptive_p_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="mirostat and adaptive_p"):
        SamplingParams(mirostat=Mirostat(version=1), adaptive_p=AdaptiveP(target=0.5))


@pytest.mark.parametrize(
    "field",
    [
        "top_k_sampling",
        "top_p_sampling",
        "min_p_sampling",
        "repeat_penalty",
        "xtc_probability",
        "xtc_threshold",
        "typical_p",
        "top_n_sigma",
    ],
)
def test_none_switches_a_stage_off(field: str) -> None:
    assert getattr(SamplingParams(**{field: None}), field) is None  # type: ignore[arg-type]
