"""Config dicts: spellings, aliases, ranges, what an error says."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import numpy as np
import pytest

from gnomon.engine.api.config import (
    EmbeddingLoadModelConfig,
    LlmLoadModelConfig,
    LlmPredictionConfig,
    engine_load_config,
    note_once,
    parse_load_config,
    parse_prediction_config,
)
from gnomon.engine.api.config_keys import LOAD_KEYS, PREDICTION_KEYS
from gnomon.engine.api.structured import LlmStructuredPredictionSetting
from gnomon.engine.errors import LMStudioValueError
from gnomon.engine.load_config import LoadConfig


def parsed(config: Any) -> dict[str, Any]:
    return parse_prediction_config(config).to_dict()


@pytest.mark.parametrize("made", [LlmPredictionConfig, LlmLoadModelConfig])
def test_every_key_has_a_field_and_every_field_a_key(made: Any) -> None:
    keys = PREDICTION_KEYS if made is LlmPredictionConfig else LOAD_KEYS
    assert {key.name for key in keys} == set(made.__struct_encode_fields__)


@pytest.mark.parametrize("key", ["maxTokens", "max_tokens"])
def test_both_spellings_of_a_key(key: str) -> None:
    assert parsed({key: 5}) == {"maxTokens": 5}


def test_both_spellings_of_a_nested_key() -> None:
    assert parsed({"dry": {"allowed_length": 3, "lastN": 8}}) == (
        {"dry": {"allowedLength": 3, "lastN": 8}}
    )


@pytest.mark.parametrize(
    ("alias", "value", "key"),
    [
        ("topK", 5, "topKSampling"),
        ("top_k", 5, "topKSampling"),
        ("topP", 0.5, "topPSampling"),
        ("top_p", 0.5, "topPSampling"),
        ("minP", 0.1, "minPSampling"),
        ("min_p", 0.1, "minPSampling"),
        ("repetition_penalty", 1.2, "repeatPenalty"),
        ("typical_p", 0.5, "typicalP"),
        ("n_predict", 5, "maxTokens"),
        ("topLogprobs", 3, "logprobs"),
    ],
)
def test_aliases(alias: str, value: float, key: str) -> None:
    assert parsed({alias: value}) == {key: value}


def test_one_stop_string_may_stand_alone() -> None:
    assert parsed({"stop": "END"}) == {"stopStrings": ["END"]}


def test_a_struct_is_checked_like_a_dict() -> None:
    with pytest.raises(LMStudioValueError, match="temperature is -1"):
        parse_prediction_config(LlmPredictionConfig(temperature=-1))


def test_none_means_unset() -> None:
    assert parsed({"temperature": None}) == parsed(None) == {}


def test_numpy_numbers_count_as_numbers() -> None:
    assert parsed({"topK": np.int64(3), "temperature": np.float32(0.5)}) == {
        "topKSampling": 3,
        "temperature": 0.5,
    }


@pytest.mark.parametrize(
    ("key", "near"),
    [("topq", "topP"), ("temprature", "temperature"), ("stop_string", "stopStrings")],
)
def test_an_unknown_key_is_named_with_the_nearest_and_the_list(key: str, near: str) -> None:
    with pytest.raises(LMStudioValueError, match=f"unknown key '{key}', nearest '{near}'") as error:
        parse_prediction_config({key: 1})
    assert "help(gnomon.LlmPredictionConfig)" in str(error.value)


def test_an_unknown_nested_key_is_named_with_its_place() -> None:
    with pytest.raises(LMStudioValueError, match="dry: unknown key 'base_', nearest 'base'"):
        parse_prediction_config({"dry": {"base_": 1}})


def test_a_key_that_is_no_text_is_unknown() -> None:
    with pytest.raises(LMStudioValueError, match="unknown key 3"):
        parse_prediction_config({3: 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", True),
        ("temperature", "0"),
        ("topKSampling", -1),
        ("topKSampling", 2.5),
        ("topPSampling", 0),
        ("topPSampling", 1.1),
        ("topPSampling", True),
        ("minPSampling", -0.1),
        ("repeatPenalty", 0),
        ("repeatLastN", -2),
        ("xtcProbability", 2),
        ("typicalP", 0),
        ("topNSigma", 0),
        ("dry", 3),
        ("dry", {"base": 0.5}),
        ("dry", {"breakers": [""]}),
        ("mirostat", {"version": 3}),
        ("adaptiveP", {"target": 2}),
        ("samplers", ["topK", "magic"]),
        ("samplers", ["topK", "topK"]),
        ("logitBias", {"a": "inf"}),
        ("logitBias", {1.5: 1}),
        ("seed", 1.5),
        ("maxTokens", 0),
        ("maxTokens", -2),
        ("maxTokens", True),
        ("stopStrings", ["a", ""]),
        ("stopStrings", [1]),
        ("contextOverflowPolicy", "drop"),
        ("logprobs", -1),
        ("logprobsAt", "end"),
        ("structured", {"type": "yaml"}),
        ("cpuThreads", 0),
        ("cpuThreads", 257),
        ("promptLookup", 3),
        ("promptTemplate", {"type": "xml"}),
        ("reasoningParsing", {"enabled": 1}),
        ("rawTools", {"type": "all"}),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(key: str, value: Any) -> None:
    with pytest.raises(LMStudioValueError, match=r"found|expected|unknown"):
        parse_prediction_config({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0),
        ("topKSampling", 40.0),
        ("topKSampling", False),
        ("topPSampling", 1),
        ("topPSampling", False),
        ("minPSampling", 0),
        ("repeatPenalty", False),
        ("repeatLastN", -1),
        ("logitBias", {5: "-inf", "the": 1.5, 6: False}),
        ("maxTokens", False),
        ("maxTokens", -1),
        ("promptLookup", True),
        ("promptLookup", {"maxNgram": 2}),
        ("structured", {"type": "json", "jsonSchema": {"type": "object"}}),
    ],
)
def test_a_value_in_range_is_accepted(key: str, value: Any) -> None:
    as_json = json.loads(json.dumps({key: value}))  # ids that are keys become texts
    assert parse_prediction_config({key: value}).to_dict() == as_json


def test_what_is_no_dict_is_refused() -> None:
    with pytest.raises(
        LMStudioValueError, match="expected a dict or LlmPredictionConfig, found int"
    ):
        parse_prediction_config(3)  # type: ignore[arg-type]


def test_load_keys_reach_the_engine() -> None:
    config = parse_load_config({"context_length": 64, "compute": "float32", "evalBatchSize": 8})
    assert engine_load_config(config) == LoadConfig(
        context_length=64, compute="float32", eval_batch_size=8
    )


def test_a_cache_type_of_false_means_the_default() -> None:
    config = parse_load_config({"llamaKCacheQuantizationType": False})
    assert engine_load_config(config) == LoadConfig()


def test_fp16_false_reaches_the_engine() -> None:
    config = parse_load_config({"useFp16ForKVCache": False})
    assert engine_load_config(config).use_fp16_for_kv_cache is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contextLength", 0),
        ("contextLength", 2**31),
        ("evalBatchSize", 2**31),
        ("cpuThreads", 257),
        ("cpuThreads", 2**63),
        ("compute", "int4"),
        ("llamaVCacheQuantizationType", "q9_9"),
    ],
)
def test_a_load_value_out_of_range_is_refused(key: str, value: Any) -> None:
    with pytest.raises(LMStudioValueError, match=f"load config: {key} is .*expected"):
        parse_load_config({key: value})


@pytest.mark.parametrize("key", ["gpu", "gpu_offload", "offloadKVCacheToGpu", "flash_attention"])
def test_keys_without_meaning_on_a_cpu_are_accepted(key: str) -> None:
    assert engine_load_config(parse_load_config({key: {"ratio": 1}})) == LoadConfig()


def test_keys_without_meaning_are_noted_once(caplog: pytest.LogCaptureFixture) -> None:
    note_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="gnomon"):
        for _ in range(2):
            parse_load_config({"gpuStrictVramCap": True})
    assert caplog.text.count("gpuStrictVramCap") == 1


@pytest.mark.parametrize("key", ["temperature", "topKSampling", "frequencyPenalty"])
def test_a_number_too_large_for_a_float_is_refused(key: str) -> None:
    with pytest.raises(LMStudioValueError, match=key):
        parsed({key: 10**400})


def test_a_window_beyond_32_bits_is_refused() -> None:
    assert parsed({"repeatLastN": 2**31 - 1}) == {"repeatLastN": 2**31 - 1}
    with pytest.raises(LMStudioValueError, match=r"repeatLastN is .*from -1 to 2147483647"):
        parsed({"repeatLastN": 2**63})


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"mirostat": {"tau": 5}}, "mirostat: found no 'version', expected 1 or 2"),
        ({"adaptiveP": {}}, "adaptiveP: found no 'target'"),
        ({"structured": {"jsonSchema": {}}}, "structured: found no 'type', expected one of json"),
    ],
)
def test_a_dict_without_the_key_that_it_needs_is_refused(
    setting: dict[str, Any], error: str
) -> None:
    with pytest.raises(LMStudioValueError, match=error):
        parsed(setting)


def test_a_struct_is_taken_for_a_dict() -> None:
    setting = LlmStructuredPredictionSetting(type="gbnf", gbnf_grammar='root ::= "a"')
    assert parsed(LlmPredictionConfig(structured=setting)) == parsed({"structured": setting})  # type: ignore[arg-type]
    assert parsed({"structured": setting})["structured"]["gbnfGrammar"] == 'root ::= "a"'


def test_from_dict_reads_what_config_takes() -> None:
    assert LlmPredictionConfig.from_dict({"top_k": 5}).top_k_sampling == 5
    made = EmbeddingLoadModelConfig.from_dict({"context_length": 9})
    assert made == EmbeddingLoadModelConfig(context_length=9)


@pytest.mark.parametrize("made", [LlmPredictionConfig, LlmLoadModelConfig])
def test_from_dict_refuses_unknown_keys(made: Any) -> None:
    with pytest.raises(LMStudioValueError, match="unknown key 'tempature'"):
        made.from_dict({"tempature": 1})


@pytest.mark.parametrize("digits", [400, 5000], ids=str)
def test_a_long_value_is_cut_in_the_error(digits: int) -> None:
    with pytest.raises(LMStudioValueError) as error:
        parse_load_config({"contextLength": 10**digits})
    assert len(str(error.value)) < 250
