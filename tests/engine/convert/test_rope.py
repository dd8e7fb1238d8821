"""Rotary angles of a configuration; the table against llama.cpp's (golden/convert/factors.json)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gnomon.engine.archs.checkpoints import CHECKPOINTS
from gnomon.engine.convert.rope import rope_entries, rope_factors
from gnomon.engine.errors import ModelLoadError

LLAMA = CHECKPOINTS["LlamaForCausalLM"]
QWEN2 = CHECKPOINTS["Qwen2ForCausalLM"]
GEMMA2 = CHECKPOINTS["Gemma2ForCausalLM"]
GEMMA3 = CHECKPOINTS["Gemma3ForCausalLM"]
LLAMA_3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA_3 |= {"original_max_position_embeddings": 8192, "factor": 8.0}
YARN = {"rope_type": "yarn", "factor": 4.0}
SIZES = {"llama-3.1": (128, 8.0), "llama-3.2-1b": (64, 32.0), "llama-3.2-3b": (128, 32.0)}


def said(family: Any, **config: Any) -> dict[str, Any]:
    found = rope_entries(family, family.defaults | config)
    return {key.removeprefix(f"{family.arch}.rope."): value for key, _, value in found}


@pytest.mark.parametrize("model", SIZES)
def test_factors_of_models_that_exist_are_llama_cpp_s(model: str, convert_golden: Any) -> None:
    dim, factor = SIZES[model]
    rope = LLAMA_3 | {"factor": factor}
    found = rope_factors(LLAMA, {"rope_scaling": rope, "rope_theta": 500000.0, "head_dim": dim})
    assert found is not None
    assert found.tolist() == convert_golden("factors.json")[model]


@pytest.mark.parametrize("kind", ["default", "linear", "yarn", "dynamic"])
def test_other_scalings_have_no_table(kind: str) -> None:
    rope = {"rope_type": kind, "factor": 2.0}
    assert rope_factors(LLAMA, LLAMA.defaults | {"rope_scaling": rope, "head_dim": 64}) is None


def test_a_table_is_not_told_by_keys() -> None:
    assert said(LLAMA, rope_scaling=LLAMA_3) == {"freq_base": 10000.0}


def test_linear_scaling_is_told() -> None:
    found = said(LLAMA, rope_scaling={"type": "linear", "factor": 4})
    assert found == {"scaling.type": "linear", "scaling.factor": 4.0, "freq_base": 10000.0}


def test_yarn_s_context_is_the_model_s_where_it_is_unsaid() -> None:
    found = said(QWEN2, rope_scaling={"rope_type": "yarn", "factor": 4.0})
    assert found["scaling.original_context_length"] == 32768


def test_yarn_s_numbers_are_told() -> None:
    more = {"beta_fast": 16, "beta_slow": 2, "attention_factor": 1.5, "extrapolation_factor": 0.5}
    found = said(QWEN2, rope_scaling={"rope_type": "yarn", "factor": 4.0, **more})
    keys = ("yarn_beta_fast", "yarn_beta_slow", "yarn_attn_factor", "yarn_ext_factor")
    assert [found[f"scaling.{key}"] for key in keys] == [16.0, 2.0, 1.5, 0.5]


def test_parameters_by_kind_of_layer_are_those_of_each() -> None:
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 3e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0},
    }
    assert said(GEMMA3, rope_parameters=rope) == {
        "scaling.type": "linear",
        "scaling.factor": 8.0,
        "freq_base": 3e6,
        "freq_base_swa": 5000.0,
    }


@pytest.mark.parametrize(("base", "keys"), [(10000.0, {}), (30000.0, {"freq_base": 30000.0})])
def test_a_family_that_says_no_base_says_an_unusual_one(base: float, keys: Any) -> None:
    assert said(GEMMA2, rope_theta=base) == keys


@pytest.mark.parametrize(
    ("family", "config", "message"),
    [
        (LLAMA, {"rope_scaling": {"rope_type": "longrope"}}, "longrope.*which is not converted"),
        (QWEN2, {"rope_scaling": LLAMA_3}, "llama3.*which is not converted"),
        (LLAMA, {"rope_scaling": {"type": "linear"}}, "rotary factor None, expected a number"),
        (LLAMA, {"rope_scaling": {"type": "linear", "factor": "2"}}, "rotary factor '2', expected"),
        (LLAMA, {"rope_theta": float("inf")}, "rotary rope_theta inf, expected a number above 0"),
        (LLAMA, {"rope_theta": 10**400}, "rotary rope_theta 10+, expected a number above 0"),
        (QWEN2, {"rope_scaling": YARN | {"beta_fast": True}}, "rotary beta_fast True, expected"),
        (
            QWEN2,
            {"rope_scaling": YARN | {"original_max_position_embeddings": 1 << 32}},
            "rotary original_max_position_embeddings 4294967296, expected a number above 0, up to",
        ),
        (LLAMA, {"rope_scaling": [1]}, r"rotary scaling \[1\], expected an object"),
        (LLAMA, {"partial_rotary_factor": 0.5}, "partial_rotary_factor, expected 1"),
    ],
)
def test_what_is_not_known_is_refused(family: Any, config: Any, message: str) -> None:
    with pytest.raises(ModelLoadError, match=message):
        said(family, **config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0}, "rotary factor 0, expected a number above 0"),
        ({"low_freq_factor": 4.0}, "expected two borders"),
        ({"head_dim": "64"}, "head_dim '64', expected a whole number above 0"),
        ({"head_dim": 1 << 40}, "head_dim 1099511627776, expected up to 65536"),
    ],
)
def test_a_table_needs_its_numbers(change: dict[str, Any], message: str) -> None:
    config = {"rope_scaling": LLAMA_3 | change, "rope_theta": 500000.0, "head_dim": 64} | change
    with pytest.raises(ModelLoadError, match=message):
        rope_factors(LLAMA, config)


def test_a_table_has_a_number_for_each_pair() -> None:
    config = {"rope_scaling": LLAMA_3, "rope_theta": 500000.0, "head_dim": 80}
    found = rope_factors(LLAMA, config)
    assert found is not None
    assert (found.shape, found.dtype, found[0], found[-1]) == ((40,), np.float32, 1, 8)
