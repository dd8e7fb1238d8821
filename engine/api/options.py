"""The options of a prediction: how it is made, and whom to tell while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeAlias, TypedDict

from .config import PredictionConfigInput
from .messages import AssistantResponse
from .results import LlmPredictionFragment
from .structured import ResponseSchema

logger = logging.getLogger("gnomon")

PredictionMessageCallback: TypeAlias = Callable[[AssistantResponse], Any]
PredictionFirstTokenCallback: TypeAlias = Callable[[], Any]
PredictionFragmentCallback: TypeAlias = Callable[[LlmPredictionFragment], Any]
PromptProcessingCallback: TypeAlias = Callable[[float], Any]


class PredictionOptions(TypedDict, total=False):
    """Keyword options of `respond`, `complete` and their streams."""

    response_format: ResponseSchema | None
    config: PredictionConfigInput
    preset: str | None
    on_message: PredictionMessageCallback | None
    on_first_token: PredictionFirstTokenCallback | None
    on_prediction_fragment: PredictionFragmentCallback | None
    on_prompt_processing_progress: PromptProcessingCallback | None


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """The same with every option there; an unknown name is a TypeError."""

    response_format: ResponseSchema | None = None
    config: PredictionConfigInput = None
    preset: str | None = None
    on_message: PredictionMessageCallback | None = None
    on_first_token: PredictionFirstTokenCallback | None = None
    on_prediction_fragment: PredictionFragmentCallback | None = None
    on_prompt_processing_progress: PromptProcessingCallback | None = None

    def wrapped(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Self:
        """The same with `wrap(callback)` in place of each callback."""
        names = [field.name for field in fields(self) if field.name.startswith("on_")]
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        wrapped: dict[str, Any] = {name: wrap(heard) for name, heard in given.items() if heard}
        return replace(self, **wrapped)


def call_back(callback: Callable[..., Any] | None, *arguments: object) -> None:
    """Call it if there is one; an exception inside is logged and does not end the prediction."""
    if callback is None:
        return
    try:
        callback(*arguments)
    except Exception:
        logger.exception("callback %s failed", getattr(callback, "__qualname__", repr(callback)))
