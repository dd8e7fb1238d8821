"""Config dicts in, checked structs out: an unknown key or a bad value is an error, never lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Self, TypeAlias, TypeVar

from ...formats.errors import shown
from ..errors import LMStudioValueError
from ..load_config import LoadConfig
from .config_keys import (
    LOAD_KEYS,
    PREDICTION_KEYS,
    WITHOUT_MEANING,
    Key,
    is_int,
    is_number,
)
from .structs import DictObject, Struct, camel

logger = logging.getLogger("gnomon")


class LlmPredictionConfig(Struct):
    """How to draw an answer. Each attribute is a config key (camelCase or snake_case in dicts).

    Unset keys take the model file's own `general.sampling.*`, then the defaults: temperature 0.8,
    topKSampling 40, topPSampling 0.95, minPSampling 0.05, repeatPenalty 1.1 over repeatLastN 64.
    """

    temperature: float | None = None
    top_k_sampling: int | bool | None = None
    top_p_sampling: float | bool | None = None
    min_p_sampling: float | bool | None = None
    repeat_penalty: float | bool | None = None
    repeat_last_n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    xtc_probability: float | bool | None = None
    xtc_threshold: float | bool | None = None
    typical_p: float | bool | None = None
    top_n_sigma: float | bool | None = None
    dry: dict[str, Any] | None = None
    dynamic_temperature: dict[str, Any] | None = None
    mirostat: dict[str, Any] | None = None
    adaptive_p: dict[str, Any] | None = None
    samplers: list[str] | None = None
    logit_bias: dict[Any, Any] | None = None
    seed: int | None = None
    max_tokens: int | bool | None = None
    stop_strings: list[str] | None = None
    tool_call_stop_strings: list[str] | None = None
    context_overflow_policy: str | None = None
    logprobs: int | None = None
    logprobs_at: str | None = None
    structured: dict[str, Any] | None = None
    draft_model: str | None = None
    speculative_decoding_num_draft_tokens_exact: int | None = None
    speculative_decoding_min_draft_length_to_consider: int | None = None
    speculative_decoding_min_continue_drafting_probability: float | None = None
    prompt_lookup: bool | dict[str, Any] | None = None
    multi_token_prediction: bool | None = None
    speculative_acceptance: str | None = None
    cpu_threads: int | None = None
    prompt_template: dict[str, Any] | None = None
    reasoning_parsing: dict[str, Any] | None = None
    raw_tools: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: DictObject) -> Self:
        """Make one from a dict such as `config` takes; `LMStudioValueError` says what is wrong."""
        return _parse(data, cls, PREDICTION_KEYS, "prediction config")


class LlmLoadModelConfig(Struct):
    """How to open a model. Each attribute is a config key (camelCase or snake_case in dicts).

    `compute` is "int8" (default, fast), "float32" or "float64" (exact twins). The last six mean
    nothing on a CPU: they are accepted, and the log says so once.
    """

    context_length: int | None = None
    eval_batch_size: int | None = None
    rope_frequency_base: float | None = None
    rope_frequency_scale: float | None = None
    seed: int | None = None
    try_mmap: bool | None = None
    num_experts: int | None = None
    cpu_threads: int | None = None
    compute: str | None = None
    llama_k_cache_quantization_type: str | bool | None = None
    llama_v_cache_quantization_type: str | bool | None = None
    use_fp16_for_kv_cache: bool | None = None
    multi_token_prediction: bool | None = None
    gpu: Any = None
    gpu_offload: Any = None
    gpu_strict_vram_cap: Any = None
    offload_kv_cache_to_gpu: Any = None
    flash_attention: Any = None
    keep_model_in_memory: Any = None

    @classmethod
    def from_dict(cls, data: DictObject) -> Self:
        """Make one from a dict such as `config` takes; `LMStudioValueError` says what is wrong."""
        return _parse(data, cls, LOAD_KEYS, "load config")


class EmbeddingLoadModelConfig(LlmLoadModelConfig):
    """How to open an embedding model: the same keys."""


LlmPredictionConfigDict: TypeAlias = DictObject
LlmLoadModelConfigDict: TypeAlias = DictObject
EmbeddingLoadModelConfigDict: TypeAlias = DictObject
AnyLoadConfig: TypeAlias = LlmLoadModelConfig | EmbeddingLoadModelConfig
PredictionConfigInput: TypeAlias = LlmPredictionConfig | DictObject | None
LoadConfigInput: TypeAlias = LlmLoadModelConfig | DictObject | None

C = TypeVar("C", bound=LlmPredictionConfig | LlmLoadModelConfig)


def parse_prediction_config(config: PredictionConfigInput) -> LlmPredictionConfig:
    """Check a prediction config; `LMStudioValueError` names the key, the value, what is valid."""
    return _parse(config, LlmPredictionConfig, PREDICTION_KEYS, "prediction config")


def parse_load_config(config: LoadConfigInput) -> LlmLoadModelConfig:
    """Check a load config likewise; note in the log what means nothing on a CPU."""
    parsed = _parse(config, LlmLoadModelConfig, LOAD_KEYS, "load config")
    for name in parsed.to_dict().keys() & set(WITHOUT_MEANING):
        note_once(f"load config key {name!r} has no meaning on a CPU: accepted, not used")
    return parsed


def engine_load_config(config: LlmLoadModelConfig) -> LoadConfig:
    """Fill in the defaults and drop what means nothing on a CPU; false counts as unset."""
    chosen = {name: getattr(config, name) for name in LoadConfig.__struct_fields__}
    return LoadConfig(
        **{
            name: value
            for name, value in chosen.items()
            if value is not None and not (value is False and name.endswith("quantization_type"))
        }
    )


@cache
def note_once(text: str) -> None:
    """Say something in the log the first time it comes up."""
    logger.info(text)


def _parse(config: Any, made: type[C], keys: tuple[Key, ...], where: str) -> C:
    if config is None:
        return made()
    if isinstance(config, made):
        config = config.set_fields()
    if not isinstance(config, Mapping):
        raise LMStudioValueError(
            f"{where}: expected a dict or {made.__name__}, found {type(config).__name__}"
        )
    checked = _checked(config, keys, where, f"help(gnomon.{made.__name__})")
    return made(**{_attribute(made, name): value for name, value in checked.items()})


def _checked(config: DictObject, keys: tuple[Key, ...], where: str, listed: str) -> dict[str, Any]:
    """Canonical camelCase name -> accepted value; unset (None) keys are left out."""
    by_name = {name: key for key in keys for name in (key.name, *key.aliases)}
    checked: dict[str, Any] = {}
    for name, value in config.items():
        key = by_name.get(camel(name)) if isinstance(name, str) else None
        if key is None:
            raise LMStudioValueError(_unknown(name, by_name, where, listed))
        if value is not None:
            checked[key.name] = _accepted(key, value, where, listed)
    for key in keys:
        if key.needed and key.name not in checked:
            raise LMStudioValueError(f"{where}: found no {key.name!r}, expected {key.expected}")
    return checked


def _accepted(key: Key, value: Any, where: str, listed: str) -> Any:
    if key.name == "stopStrings" and isinstance(value, str):
        value = [value]
    if isinstance(value, Struct):
        value = value.set_fields()
    if not key.accepts(value):
        raise LMStudioValueError(f"{where}: {key.name} is {shown(value)}, expected {key.expected}")
    if key.inner and isinstance(value, Mapping):
        return _checked(value, key.inner, f"{where}: {key.name}", listed)
    return _plain(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, tuples as lists."""
    if isinstance(value, tuple):
        return list(value)
    if is_int(value):
        return int(value)
    return float(value) if is_number(value) else value


def _unknown(name: object, known: Iterable[str], where: str, listed: str) -> str:
    near = get_close_matches(camel(str(name)), list(known), n=1, cutoff=0.4)
    hint = f", nearest {near[0]!r}" if near else ""
    return f"{where}: unknown key {name!r}{hint}; the list: {listed}"


def _attribute(made: type[Struct], name: str) -> str:
    return _attributes(made)[name]


@cache
def _attributes(made: type[Struct]) -> dict[str, str]:
    return dict(zip(made.__struct_encode_fields__, made.__struct_fields__, strict=True))
