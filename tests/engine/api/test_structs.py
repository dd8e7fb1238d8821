"""Struct: names in Python and in dicts."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.engine.api.messages import TextData, ToolCallRequest
from gnomon.engine.api.results import LlmPredictionStats
from gnomon.engine.api.structs import ValidationError, camel, camel_keys, snake
from gnomon.engine.errors import LMStudioValueError


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("seed", "seed"),
        ("max_tokens", "maxTokens"),
        ("maxTokens", "maxTokens"),
        ("offload_kv_cache_to_gpu", "offloadKVCacheToGpu"),
        ("use_fp16_for_kv_cache", "useFp16ForKVCache"),
    ],
)
def test_camel(name: str, key: str) -> None:
    assert camel(name) == key


def test_snake_undoes_camel() -> None:
    assert snake("allowedLength") == "allowed_length"


def test_keys_become_camel_case_at_every_depth() -> None:
    data = {"raw_tools": {"my_key": [{"in_list": 1}, 2]}}
    assert camel_keys(data) == {"rawTools": {"myKey": [{"inList": 1}, 2]}}


@pytest.mark.parametrize("key", ["json_schema", "arguments", "parameters"])
def test_bodies_that_are_data_keep_their_keys(key: str) -> None:
    assert list(camel_keys({key: {"my_key": 1}}).values()) == [{"my_key": 1}]


def test_a_dict_inside_itself_is_refused() -> None:
    data: dict[str, Any] = {}
    data["again"] = data
    with pytest.raises(LMStudioValueError, match="contains itself"):
        camel_keys(data)


def test_the_same_dict_twice_is_no_cycle() -> None:
    part = {"a_b": 1}
    assert camel_keys({"x": part, "y": part}) == {"x": {"aB": 1}, "y": {"aB": 1}}


def test_a_list_in_a_list_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="list inside a list"):
        camel_keys({"a": [[1]]})


@pytest.mark.parametrize("key", ["stop_reason", "stopReason"])
def test_from_dict_takes_either_spelling(key: str) -> None:
    assert LlmPredictionStats.from_dict({key: "eosFound"}).stop_reason == "eosFound"


def test_from_dict_refuses_a_wrong_type() -> None:
    with pytest.raises(ValidationError):
        TextData.from_dict({"type": "text", "text": 3})


def test_to_dict_is_camel_case_without_unset_fields() -> None:
    request = ToolCallRequest(name="add", arguments={"my_key": 1})
    assert request.to_dict() == {
        "type": "function",
        "name": "add",
        "arguments": {"my_key": 1},
    }


def test_a_struct_is_shown_as_the_call_that_makes_it() -> None:
    assert str(TextData(text="é")) == ('TextData.from_dict({\n  "text": "é",\n  "type": "text"\n})')


def test_repr_names_the_fields() -> None:
    assert repr(TextData(text="a")) == "TextData(text='a')"
