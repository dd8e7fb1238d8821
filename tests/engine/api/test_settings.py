"""Settings: defaults < the file's own < the caller's; what the sampler and the loop are given."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from gnomon.engine.api.config import LlmPredictionConfig, parse_prediction_config
from gnomon.engine.api.settings import effective_config, file_values, limits, sampling_params
from gnomon.engine.errors import LMStudioValueError
from gnomon.sampling.params import Dry, Mirostat, SamplingParams

TOKENIZER: Any = SimpleNamespace(n_vocab=300, encode=lambda text, add_special: list(text.encode()))


def effective(config: dict[str, Any], **metadata: object) -> LlmPredictionConfig:
    """The effective config with `general.sampling.*` metadata."""
    return effective_config(
        parse_prediction_config(config),
        {f"general.sampling.{name}": value for name, value in metadata.items()},
    )


def params(config: dict[str, Any], **metadata: object) -> SamplingParams:
    return sampling_params(effective({"seed": 1, **config}, **metadata), TOKENIZER)


def test_without_a_config_the_sampler_has_its_defaults() -> None:
    assert params({}) == SamplingParams(seed=1)


def test_the_defaults_are_those_of_the_documentation() -> None:
    shown = effective({}).to_dict()
    expected = {
        "temperature": 0.8,
        "topKSampling": 40,
        "topPSampling": 0.95,
        "minPSampling": 0.05,
        "repeatPenalty": 1.1,
        "repeatLastN": 64,
        "maxTokens": False,
        "contextOverflowPolicy": "stopAtLimit",
    }
    assert shown.items() >= expected.items()


def test_the_file_s_values_replace_defaults() -> None:
    made = params({}, temp=0.3, top_k=7, top_p=0.9, penalty_repeat=1.0, penalty_last_n=32)
    assert (made.temperature, made.top_k_sampling, made.repeat_last_n) == (0.3, 7, 32)


def test_the_caller_s_values_replace_the_file_s() -> None:
    assert params({"temperature": 1.5}, temp=0.3).temperature == 1.5


def test_a_file_s_top_k_of_minus_one_is_off() -> None:
    assert params({}, top_k=-1).top_k_sampling == 0


def test_a_file_s_mirostat_is_taken_together() -> None:
    made = params({}, mirostat=2, mirostat_tau=4.0, mirostat_eta=0.2)
    assert made.mirostat == Mirostat(version=2, tau=4.0, eta=0.2)


def test_a_file_s_mirostat_of_0_is_off() -> None:
    assert params({}, mirostat=0).mirostat is None


def test_a_file_s_sequence_orders_the_stages() -> None:
    assert file_values({"general.sampling.sequence": "top_k;infill;temperature"}) == {
        "samplers": ["bias", "topK", "temperature"]
    }


def test_a_bad_value_in_the_file_is_blamed_on_the_file() -> None:
    with pytest.raises(LMStudioValueError, match=r"in the model file.*temperature is -3"):
        effective({}, temp=-3.0)


def test_a_bad_value_in_the_file_does_not_matter_if_the_caller_sets_it() -> None:
    assert effective({"temperature": 0}, temp=-3.0).temperature == 0


def test_without_a_seed_each_config_gets_a_fresh_one_and_shows_it() -> None:
    one, two = effective({}), effective({})
    assert isinstance(one.seed, int)
    assert one.seed != two.seed


def test_false_means_off() -> None:
    made = params({"topP": False, "minP": False, "repeatPenalty": False, "topK": False})
    assert made.top_p_sampling is made.min_p_sampling is made.repeat_penalty is None
    assert made.top_k_sampling is None


def test_nested_settings_reach_the_sampler() -> None:
    made = params({"dry": {"multiplier": 0.8, "allowedLength": 3, "breakers": ["\n"]}})
    assert made.dry == Dry(multiplier=0.8, allowed_length=3, breakers=("\n",))


def test_what_the_sampler_refuses_is_a_value_error() -> None:
    with pytest.raises(LMStudioValueError, match="mirostat and adaptive_p"):
        params({"mirostat": {"version": 2}, "adaptiveP": {"target": 0.5}})


def test_logit_bias_takes_ids_texts_and_bans() -> None:
    made = params({"logitBias": {5: 1.5, "7": "-inf", "a": False, "b": 0}})
    assert made.logit_bias == {5: 1.5, 7: -math.inf, 97: -math.inf, 98: 0.0}


def test_a_logit_bias_text_of_several_tokens_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="expected one token"):
        params({"logitBias": {"ab": 1}})


@pytest.mark.parametrize("token", [-1, 300])
def test_a_logit_bias_outside_the_vocabulary_is_refused(token: int) -> None:
    with pytest.raises(LMStudioValueError, match="expected 0 to 299"):
        params({"logitBias": {token: 1}})


@pytest.mark.parametrize(("value", "most"), [(5, 5), (False, None), (-1, None)])
def test_max_tokens_of_false_or_minus_one_is_no_limit(value: Any, most: int | None) -> None:
    assert limits(effective({"maxTokens": value}), 64, batch=8).max_tokens == most


def test_limits_carry_stop_strings_and_policy() -> None:
    config = effective({"stop": ["a"], "contextOverflowPolicy": "rollingWindow", "logprobs": 2})
    made = limits(config, 64, batch=8, keep=1)
    assert (made.stop_strings, made.overflow, made.keep, made.logprobs) == (
        ("a",),
        "rollingWindow",
        1,
        True,
    )
