"""From a checked config to what loop and sampler take: defaults < the file's own < the caller's."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from ...sampling.params import AdaptiveP, Dry, DynamicTemperature, Mirostat, SamplingParams
from ..errors import LMStudioValueError
from ..generate import Limits
from .config import LlmPredictionConfig, parse_prediction_config
from .structs import snake

# Defaults that are not the sampler's; its own stand in SamplingParams.
DEFAULTS: dict[str, Any] = {
    "max_tokens": False,
    "stop_strings": [],
    "tool_call_stop_strings": [],
    "context_overflow_policy": "stopAtLimit",
    "prompt_lookup": True,
    "speculative_acceptance": "match",
}
NESTED: dict[str, type[Any]] = {
    "dry": Dry,
    "dynamic_temperature": DynamicTemperature,
    "mirostat": Mirostat,
    "adaptive_p": AdaptiveP,
}

# general.sampling.<name> in a file -> our key.
FILE_KEYS = {
    "temp": "temperature",
    "top_k": "top_k_sampling",
    "top_p": "top_p_sampling",
    "min_p": "min_p_sampling",
    "penalty_repeat": "repeat_penalty",
    "penalty_last_n": "repeat_last_n",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
}
# llama.cpp's stage names in general.sampling.sequence -> ours; others (infill) have no stage here.
FILE_STAGES = {
    "penalties": "penalties",
    "dry": "dry",
    "top_n_sigma": "topNSigma",
    "top_k": "topK",
    "typ_p": "typical",
    "top_p": "topP",
    "min_p": "minP",
    "xtc": "xtc",
    "temperature": "temperature",
}


class EncodesText(Protocol):
    """What a logit bias needs of a tokenizer."""

    @property
    def n_vocab(self) -> int: ...
    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]: ...


def effective_config(
    config: LlmPredictionConfig, metadata: Mapping[str, object], seed: int | None = None
) -> LlmPredictionConfig:
    """Fill every unset key that has a value: the file's, `seed` or a fresh one, the default."""
    own = config.set_fields()
    chosen = {"seed": secrets.randbits(63) if seed is None else seed}
    from_file = {key: value for key, value in file_values(metadata).items() if key not in own}
    try:
        parse_prediction_config(from_file)
    except LMStudioValueError as error:
        raise LMStudioValueError(f"general.sampling in the model file: {error}") from error
    return parse_prediction_config({**_defaults(), **chosen, **from_file, **own})


def _defaults() -> dict[str, Any]:
    sampler = asdict(SamplingParams(logit_bias={}))
    return DEFAULTS | {key: value for key, value in sampler.items() if value is not None}


def file_values(metadata: Mapping[str, object]) -> dict[str, Any]:
    """The file's `general.sampling.*` as prediction config keys."""
    prefix = "general.sampling."
    values = {
        key: metadata[prefix + name] for name, key in FILE_KEYS.items() if prefix + name in metadata
    }
    if values.get("top_k_sampling") == -1:  # llama.cpp's "off"
        values["top_k_sampling"] = 0
    if version := metadata.get(prefix + "mirostat"):
        tau, eta = (metadata.get(f"{prefix}mirostat_{name}") for name in ("tau", "eta"))
        values["mirostat"] = {"version": version, "tau": tau, "eta": eta}
    if isinstance(sequence := metadata.get(prefix + "sequence"), str):
        stages = [FILE_STAGES[name] for name in sequence.split(";") if name in FILE_STAGES]
        values["samplers"] = ["bias", *stages]
    return values


def limits(
    config: LlmPredictionConfig, context_length: int, *, batch: int, keep: int = 0
) -> Limits:
    """Where the answer ends, from an effective config."""
    most = config.max_tokens
    return Limits(
        context_length=context_length,
        max_tokens=None if most in (None, False, -1) else int(most),
        stop_strings=tuple(config.stop_strings or ()),
        tool_call_stop_strings=tuple(config.tool_call_stop_strings or ()),
        overflow=config.context_overflow_policy,  # type: ignore[arg-type]  # checked by its key
        keep=keep,
        batch=batch,
        logprobs=bool(config.logprobs),
    )


def sampling_params(config: LlmPredictionConfig, tokenizer: EncodesText) -> SamplingParams:
    """What the sampler takes, from an effective config; false means off."""
    chosen = {field.name: getattr(config, field.name) for field in fields(SamplingParams)}
    chosen["logit_bias"] = token_biases(config.logit_bias, tokenizer)
    given = {
        name: _sampler_value(name, value) for name, value in chosen.items() if value is not None
    }
    try:
        return SamplingParams(**given)
    except ValueError as error:
        raise LMStudioValueError(f"prediction config: {error}") from error


def _sampler_value(name: str, value: Any) -> Any:
    if value is False:
        return None
    if name in NESTED:
        return NESTED[name](**{snake(key): _frozen(inner) for key, inner in value.items()})
    return int(value) if name == "top_k_sampling" else _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def token_biases(table: Mapping[Any, Any] | None, tokenizer: EncodesText) -> dict[int, float]:
    """Token id -> bias. A text stands for its one token; a text of digits is an id, as in JSON."""
    biases = {_token(token, tokenizer): bias for token, bias in (table or {}).items()}
    for token in biases:
        if not 0 <= token < tokenizer.n_vocab:
            raise LMStudioValueError(
                f"prediction config: logitBias token {token}, expected 0 to {tokenizer.n_vocab - 1}"
            )
    return {
        token: -math.inf if bias is False or bias == "-inf" else float(bias)
        for token, bias in biases.items()
    }


def _token(token: int | str, tokenizer: EncodesText) -> int:
    if not isinstance(token, str) or token.isdecimal():
        return int(token)
    ids = tokenizer.encode(token, add_special=False)
    if len(ids) != 1:
        raise LMStudioValueError(
            f"prediction config: logitBias text {token!r} is the tokens {ids}, expected one token: "
            "give token ids"
        )
    return ids[0]
