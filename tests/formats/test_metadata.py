from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gnomon.formats.errors import GGUFError, MetadataError
from gnomon.formats.metadata import Metadata

VALUES: dict[str, object] = {
    "int": -3,
    "big": 2**64 - 1,
    "float": 0.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "bool": True,
    "string": "llama",
    "strings": ["a", ""],
    "no strings": [],
    "u32s": np.array([1, 2], np.uint32),
    "u64s": np.array([2**63], np.uint64),
    "no ints": np.array([], np.int32),
    "f32s": np.array([0.5, np.inf], np.float32),
    "bools": np.array([True, False]),
}

GETTERS = ["integer", "number", "boolean", "string", "strings", "integers", "numbers"]

RIGHT = [
    ("integer", "int", -3),
    ("integer", "big", 2**64 - 1),
    ("number", "float", 0.5),
    ("number", "int", -3.0),
    ("boolean", "bool", True),
    ("string", "string", "llama"),
    ("strings", "strings", ["a", ""]),
    ("strings", "no strings", []),
]

RIGHT_ARRAYS = [
    ("integers", "u32s", np.array([1, 2], np.int64)),
    ("integers", "no ints", np.array([], np.int64)),
    ("numbers", "f32s", np.array([0.5, np.inf])),
    ("numbers", "u32s", np.array([1.0, 2.0])),
]

WRONG = [
    ("integer", "float", "0.5 (float)", "an integer"),
    ("integer", "bool", "True (bool)", "an integer"),
    ("integer", "string", "'llama' (str)", "an integer"),
    ("integer", "u32s", "an array of 2 uint32", "an integer"),
    ("number", "bool", "True (bool)", "a finite number"),
    ("number", "nan", "nan (float)", "a finite number"),
    ("number", "inf", "inf (float)", "a finite number"),
    ("boolean", "int", "-3 (int)", "a bool"),
    ("string", "strings", "an array of 2 strings", "a string"),
    ("strings", "string", "'llama' (str)", "an array of strings"),
    ("strings", "no ints", "an array of 0 int32", "an array of strings"),
    ("integers", "f32s", "an array of 2 float32", "an array of integers below 2^63"),
    ("integers", "bools", "an array of 2 bool", "an array of integers below 2^63"),
    ("integers", "u64s", "an array of 1 uint64", "an array of integers below 2^63"),
    ("integers", "int", "-3 (int)", "an array of integers below 2^63"),
    ("numbers", "bools", "an array of 2 bool", "an array of numbers"),
    ("numbers", "strings", "an array of 2 strings", "an array of numbers"),
]


def getter(name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(Metadata(VALUES), name)
    return method


@pytest.mark.parametrize(("name", "key", "value"), RIGHT)
def test_a_getter_returns_a_value_of_its_type(name: str, key: str, value: object) -> None:
    found = getter(name)(key)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(("name", "key", "value"), RIGHT_ARRAYS)
def test_an_array_getter_widens_the_array(name: str, key: str, value: np.ndarray) -> None:
    found = getter(name)(key)
    assert (found.dtype, found.tolist()) == (value.dtype, value.tolist())


@pytest.mark.parametrize(("name", "key", "found", "expected"), WRONG)
def test_a_wrong_type_names_key_found_and_expected(
    name: str, key: str, found: str, expected: str
) -> None:
    with pytest.raises(MetadataError) as caught:
        getter(name)(key)
    assert str(caught.value) == f"{key}: found {found}, expected {expected}"


@pytest.mark.parametrize(("name", "key", "found", "expected"), WRONG)
def test_a_default_does_not_hide_a_wrong_type(
    name: str, key: str, found: str, expected: str
) -> None:
    with pytest.raises(MetadataError):
        getter(name)(key, None)


@pytest.mark.parametrize("name", GETTERS)
def test_a_missing_key_without_default_raises(name: str) -> None:
    with pytest.raises(MetadataError, match="layers: found no such key"):
        getter(name)("layers")


@pytest.mark.parametrize("name", GETTERS)
def test_a_missing_key_gives_the_default_as_it_is(name: str) -> None:
    default = object()
    assert getter(name)("layers", default) is default


def test_it_is_a_mapping_in_file_order() -> None:
    assert list(Metadata(VALUES).items()) == list(VALUES.items())


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(MetadataError) as caught:
        Metadata({"template": "x" * 10**6}).integer("template")
    assert len(str(caught.value)) < 200


def test_a_metadata_error_is_a_gguf_error_and_a_value_error() -> None:
    assert issubclass(MetadataError, GGUFError)
    assert issubclass(GGUFError, ValueError)
