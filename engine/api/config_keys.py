"""Tables of config keys: name, what is accepted (in words and as a test), aliases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, get_args

from ...sampling.params import STAGES
from ..generate import OverflowPolicy
from ..load_config import CACHE_TYPES, MAX_THREADS

Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Key:
    """One key: `accepts(value)` tells, `expected` says it in words, `inner` are a dict's keys.

    A `needed` one may not be left out of the dict it is inside of.
    """

    name: str
    expected: str
    accepts: Test
    aliases: tuple[str, ...] = ()
    inner: tuple[Key, ...] = ()
    needed: bool = False


def is_int(value: Any) -> bool:
    """A whole number, NumPy's too; true and false are not numbers."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite number, NumPy's too; true and false are not numbers."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def is_texts(value: Any) -> bool:
    """A list of texts, none empty: an empty stop string would stop before the first letter."""
    return isinstance(value, list | tuple) and all(isinstance(v, str) and v for v in value)


def _number(expected: str, test: Test = lambda value: True) -> tuple[str, Test]:
    return expected, lambda value: is_number(value) and test(value)


def _number_or_false(expected: str, test: Test) -> tuple[str, Test]:
    accepts = _number(expected, test)[1]
    return f"{expected}, or false", lambda value: value is False or accepts(value)


def _int(expected: str, test: Test = lambda value: True) -> tuple[str, Test]:
    return expected, lambda value: is_int(value) and test(value)


def _one_of(*names: str) -> tuple[str, Test]:
    return f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names


def _bool() -> tuple[str, Test]:
    return "true or false", lambda value: isinstance(value, bool)


def _text() -> tuple[str, Test]:
    return "a text", lambda value: isinstance(value, str)


def _texts(expected: str = "a list of texts, none empty") -> tuple[str, Test]:
    return expected, is_texts


def _dict(*inner: Key, plus: str = "", also: Test = lambda value: False) -> dict[str, Any]:
    names = ", ".join(key.name for key in inner)
    return {
        "expected": f"a dict with keys of {names}{plus}",
        "accepts": lambda value: isinstance(value, Mapping) or also(value),
        "inner": inner,
    }


def _anything() -> tuple[str, Test]:
    return "any value", lambda value: True


_UNIT = _number("a number in [0, 1]", lambda value: 0 <= value <= 1)
_UNIT_OR_FALSE = _number_or_false("a number in [0, 1]", lambda value: 0 <= value <= 1)
_SHARE_OR_FALSE = _number_or_false("a number in (0, 1]", lambda value: 0 < value <= 1)
_ABOVE_0 = _number("a number > 0", lambda value: value > 0)
_ABOVE_0_OR_FALSE = _number_or_false("a number > 0", lambda value: value > 0)
_FROM_0 = _number("a number >= 0", lambda value: value >= 0)
_FINITE = _number("a finite number")
_COUNT = _int("an integer >= 1", lambda value: value >= 1)
_SIZE = _int("an integer from 1 to 2147483647", lambda value: 1 <= value < 2**31)
_THREADS = _int(f"an integer from 1 to {MAX_THREADS}", lambda value: 1 <= value <= MAX_THREADS)
_COUNT_FROM_0 = _int("an integer >= 0", lambda value: value >= 0)
_WINDOW = _int(
    "an integer from -1 to 2147483647 (-1: all tokens)", lambda value: -1 <= value < 2**31
)


def _whole_or_false(value: Any) -> bool:
    return value is False or (is_number(value) and value >= 0 and value == int(value))


def _bias_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        (is_int(token) or isinstance(token, str))
        and (bias in ("-inf", -math.inf, False) or is_number(bias))
        for token, bias in value.items()
    )


PREDICTION_KEYS: tuple[Key, ...] = (
    Key("temperature", *_FROM_0),
    Key("topKSampling", "an integer >= 0 (0 or false: off)", _whole_or_false, ("topK",)),
    Key("topPSampling", *_SHARE_OR_FALSE, ("topP",)),
    Key("minPSampling", *_UNIT_OR_FALSE, ("minP",)),
    Key("repeatPenalty", *_ABOVE_0_OR_FALSE, ("repetitionPenalty",)),
    Key("repeatLastN", *_WINDOW),
    Key("presencePenalty", *_FINITE),
    Key("frequencyPenalty", *_FINITE),
    Key("xtcProbability", *_UNIT_OR_FALSE),
    Key("xtcThreshold", *_UNIT_OR_FALSE),
    Key("typicalP", *_SHARE_OR_FALSE),
    Key("topNSigma", *_ABOVE_0_OR_FALSE),
    Key(
        "dry",
        **_dict(
            Key("multiplier", *_FROM_0),
            Key("base", *_number("a number >= 1", lambda value: value >= 1)),
            Key("allowedLength", *_COUNT_FROM_0),
            Key("lastN", *_WINDOW),
            Key("breakers", *_texts()),
        ),
    ),
    Key("dynamicTemperature", **_dict(Key("range", *_FROM_0), Key("exponent", *_ABOVE_0))),
    Key(
        "mirostat",
        **_dict(
            Key("version", *_int("1 or 2", lambda value: value in (1, 2)), needed=True),
            Key("tau", *_ABOVE_0),
            Key("eta", *_ABOVE_0),
        ),
    ),
    Key(
        "adaptiveP",
        **_dict(
            Key("target", *_UNIT, needed=True),
            Key("decay", *_number("a number in [0, 0.99]", lambda value: 0 <= value <= 0.99)),
        ),
    ),
    Key(
        "samplers",
        f"a list of stage names, each once, of {', '.join(STAGES)}",
        lambda value: is_texts(value) and set(value) <= set(STAGES) and len({*value}) == len(value),
    ),
    Key("logitBias", 'a dict of token id or text: number, "-inf" or false', _bias_table),
    Key("seed", *_int("an integer")),
    Key(
        "maxTokens",
        "an integer >= 1; -1 or false: until the context is full",
        lambda value: value is False or (is_int(value) and (value >= 1 or value == -1)),
        ("nPredict",),
    ),
    Key("stopStrings", *_texts(), ("stop",)),
    Key("toolCallStopStrings", *_texts()),
    Key("contextOverflowPolicy", *_one_of(*get_args(OverflowPolicy))),
    Key("logprobs", *_COUNT_FROM_0, ("topLogprobs",)),
    Key("logprobsAt", *_one_of("raw", "sampled")),
    Key(
        "structured",
        **_dict(
            Key("type", *_one_of("json", "gbnf", "regex", "choice", "none"), needed=True),
            Key("jsonSchema", *_anything()),
            Key("gbnfGrammar", *_text()),
            Key("regex", *_text()),
            Key("choices", *_texts()),
            Key("propertyOrder", *_one_of("declared", "free")),
        ),
    ),
    Key("draftModel", *_text()),
    Key("speculativeDecodingNumDraftTokensExact", *_COUNT),
    Key("speculativeDecodingMinDraftLengthToConsider", *_COUNT_FROM_0),
    Key("speculativeDecodingMinContinueDraftingProbability", *_UNIT),
    Key(
        "promptLookup",
        **_dict(
            Key("maxNgram", *_int("an integer from 1 to 32", lambda value: 1 <= value <= 32)),
            Key("maxDraft", *_int("an integer from 1 to 64", lambda value: 1 <= value <= 64)),
            plus=", or true or false",
            also=lambda value: isinstance(value, bool),
        ),
    ),
    Key("multiTokenPrediction", *_bool()),
    Key("speculativeAcceptance", *_one_of("match", "rejection")),
    Key("cpuThreads", *_THREADS),
    Key(
        "promptTemplate",
        **_dict(
            Key("type", *_one_of("manual", "jinja")),
            Key("stopStrings", *_texts()),
            Key(
                "manualPromptTemplate",
                **_dict(
                    *(
                        Key(f"{where}{role}", *_text())
                        for role in ("System", "User", "Assistant")
                        for where in ("before", "after")
                    )
                ),
            ),
            Key("jinjaPromptTemplate", **_dict(Key("template", *_text()))),
        ),
    ),
    Key(
        "reasoningParsing",
        **_dict(
            Key("enabled", *_bool()),
            Key("startString", *_text()),
            Key("endString", *_text()),
        ),
    ),
    Key(
        "rawTools",
        **_dict(
            Key("type", *_one_of("none", "toolArray"), needed=True),
            Key("tools", *_anything()),
            Key("force", *_bool()),
        ),
    ),
)

# They steer a graphics card or the app: nothing to do on a CPU, in process.
WITHOUT_MEANING = (
    "gpu",
    "gpuOffload",
    "gpuStrictVramCap",
    "offloadKVCacheToGpu",
    "flashAttention",
    "keepModelInMemory",
)

_CACHE_TYPE = (
    f"one of {', '.join(CACHE_TYPES)}, or false",
    lambda value: value is False or (isinstance(value, str) and value in CACHE_TYPES),
)

LOAD_KEYS: tuple[Key, ...] = (
    Key("contextLength", *_SIZE),
    Key("evalBatchSize", *_SIZE),
    Key("ropeFrequencyBase", *_ABOVE_0),
    Key("ropeFrequencyScale", *_ABOVE_0),
    Key("seed", *_int("an integer")),
    Key("tryMmap", *_bool()),
    Key("numExperts", *_COUNT),
    Key("cpuThreads", *_THREADS),
    Key("compute", *_one_of("int8", "float32", "float64")),
    Key("llamaKCacheQuantizationType", *_CACHE_TYPE),
    Key("llamaVCacheQuantizationType", *_CACHE_TYPE),
    Key("useFp16ForKVCache", *_bool()),
    Key("multiTokenPrediction", *_bool()),
    *(Key(name, *_anything()) for name in WITHOUT_MEANING),
)
