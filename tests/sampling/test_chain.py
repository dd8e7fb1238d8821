"""Building the chain from its parameters."""

from typing import Any

import pytest

from gnomon.sampling.chain import build_chain
from gnomon.sampling.params import Dry, DynamicTemperature, Mirostat, SamplingParams

ALL_ON: dict[str, Any] = {
    "logit_bias": {1: 1.0},
    "dry": Dry(multiplier=1.0),
    "top_n_sigma": 1.0,
    "typical_p": 0.9,
    "xtc_probability": 0.5,
}
OFF: dict[str, dict[str, Any]] = {
    "bias": {"logit_bias": {}},
    "penalties": {"repeat_penalty": None},
    "dry": {"dry": Dry()},
    "topNSigma": {"top_n_sigma": None},
    "topK": {"top_k_sampling": 0},
    "typical": {"typical_p": 1.0},
    "topP": {"top_p_sampling": 1.0},
    "minP": {"min_p_sampling": 0.0},
    "xtc": {"xtc_threshold": None},
    "temperature": {"temperature": 1.0},
}


def names(**params: Any) -> list[str]:
    return [stage.name for stage in build_chain(SamplingParams(**params), 1)]


def test_all_stages_stand_in_their_order() -> None:
    assert names(**ALL_ON) == list(SamplingParams().samplers)


@pytest.mark.parametrize("stage", OFF)
def test_a_stage_switched_off_is_left_out(stage: str) -> None:
    assert names(**{**ALL_ON, **OFF[stage]}) == [s for s in OFF if s != stage]


def test_the_defaults_run_penalties_and_four_filters() -> None:
    assert names() == ["penalties", "topK", "topP", "minP", "temperature"]


def test_samplers_may_stand_in_any_order() -> None:
    order = ("temperature", "topK", "bias", "xtc")
    assert names(**ALL_ON, samplers=order) == list(order)


def test_greedy_has_edits_only() -> None:
    assert names(**ALL_ON, temperature=0.0) == ["bias", "penalties", "dry"]


def test_mirostat_keeps_edits_and_temperature() -> None:
    chain = names(**ALL_ON, mirostat=Mirostat(version=2))
    assert chain == ["bias", "penalties", "dry", "temperature"]


def test_a_dynamic_temperature_around_one_still_runs() -> None:
    dynamic = DynamicTemperature(range=0.5)
    assert "temperature" in names(temperature=1.0, dynamic_temperature=dynamic)


@pytest.mark.parametrize("field", ["presence_penalty", "frequency_penalty"])
def test_one_penalty_is_enough_to_run_them(field: str) -> None:
    assert "penalties" in names(repeat_penalty=None, **{field: 0.1})


def test_an_empty_window_has_no_penalties() -> None:
    assert "penalties" not in names(repeat_last_n=0, presence_penalty=1.0)
