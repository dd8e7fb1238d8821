"""What calls give back: fragments as they run, results and statistics at the end, model facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeAlias

from ..generate import StopReason
from .config import LlmLoadModelConfig, LlmPredictionConfig
from .structs import Struct, format_json

ReasoningType: TypeAlias = Literal["none", "reasoning", "reasoningStartTag", "reasoningEndTag"]


class LlmPredictionFragment(Struct):
    """A piece of the answer: whole characters, from one token or a few."""

    content: str
    tokens_count: int
    contains_drafted: bool
    reasoning_type: ReasoningType


class LlmPredictionStats(Struct):
    """Why a prediction ended and what it cost."""

    stop_reason: StopReason
    tokens_per_second: float | None = None
    num_gpu_layers: float | None = None
    time_to_first_token_sec: float | None = None
    prompt_tokens_count: int | None = None
    predicted_tokens_count: int | None = None
    total_tokens_count: int | None = None
    used_draft_model_key: str | None = None
    total_draft_tokens_count: int | None = None
    accepted_draft_tokens_count: int | None = None
    rejected_draft_tokens_count: int | None = None
    ignored_draft_tokens_count: int | None = None


class LlmInfo(Struct, tag_field="type", tag="llm"):
    """Facts about a model file; `path` is relative to the models folder when it lies there."""

    type: ClassVar[str] = "llm"
    model_key: str
    format: str
    display_name: str
    path: str
    size_bytes: int
    vision: bool
    trained_for_tool_use: bool
    max_context_length: int
    params_string: str | None = None
    architecture: str | None = None


class LlmInstanceInfo(Struct, tag_field="type", tag="llm"):
    """Facts about a loaded model; `context_length` is what it holds, not what it could."""

    type: ClassVar[str] = "llm"
    model_key: str
    format: str
    display_name: str
    path: str
    size_bytes: int
    identifier: str
    instance_reference: str
    vision: bool
    trained_for_tool_use: bool
    max_context_length: int
    context_length: int
    params_string: str | None = None
    architecture: str | None = None


class EmbeddingModelInfo(Struct, tag_field="type", tag="embedding"):
    """Facts about an embedding model's file."""

    type: ClassVar[str] = "embedding"
    model_key: str
    format: str
    display_name: str
    path: str
    size_bytes: int
    max_context_length: int
    params_string: str | None = None
    architecture: str | None = None


class EmbeddingModelInstanceInfo(Struct, tag_field="type", tag="embedding"):
    """Facts about a loaded embedding model."""

    type: ClassVar[str] = "embedding"
    model_key: str
    format: str
    display_name: str
    path: str
    size_bytes: int
    identifier: str
    instance_reference: str
    max_context_length: int
    context_length: int
    params_string: str | None = None
    architecture: str | None = None


ModelInfo: TypeAlias = LlmInfo | EmbeddingModelInfo
ModelInstanceInfo: TypeAlias = LlmInstanceInfo | EmbeddingModelInstanceInfo


@dataclass(kw_only=True, frozen=True, repr=False)
class PredictionResult:
    """A finished answer. `content` is all its text, reasoning included; `parsed` is the JSON object
    of a structured answer, else the content itself; `logprobs` lists the tokens when asked for."""

    content: str
    parsed: dict[str, Any] | str
    stats: LlmPredictionStats
    model_info: LlmInfo
    structured: bool = field(init=False)
    load_config: LlmLoadModelConfig
    prediction_config: LlmPredictionConfig
    logprobs: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "structured", self.parsed is not self.content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(content={self.content!r})"

    def __str__(self) -> str:
        return format_json(self.parsed) if self.structured else self.content


@dataclass(kw_only=True, frozen=True)
class PredictionRoundResult(PredictionResult):
    """One round of `act`."""

    round_index: int

    @classmethod
    def from_result(cls, result: PredictionResult, round_index: int) -> Self:
        """Copy a result and say which round it was."""
        return cls(
            content=result.content,
            parsed=result.parsed,
            stats=result.stats,
            model_info=result.model_info,
            load_config=result.load_config,
            prediction_config=result.prediction_config,
            logprobs=result.logprobs,
            round_index=round_index,
        )


@dataclass(kw_only=True, frozen=True)
class ActResult:
    """How many rounds `act` took, and how long."""

    rounds: int
    total_time_seconds: float


@dataclass(kw_only=True, frozen=True)
class ModelLoadResult:
    """Where a loaded model is known."""

    identifier: str
    instance_reference: str
    path: str
