"""PredictionStream: an answer as it is made. Nothing runs until it is iterated or waited for.

An answer can be received once. Leaving the loop early, or `cancel`, ends it: `result` then has
what was made so far and stop reason userStopped. Work happens in the thread that iterates.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

from ..errors import LMStudioCancelledError, LMStudioRuntimeError
from .config import LlmLoadModelConfig, LlmPredictionConfig
from .messages import AssistantResponse, TextData
from .options import CallOptions, call_back
from .prediction import Prediction
from .results import LlmInfo, LlmPredictionFragment, LlmPredictionStats, PredictionResult

Fragments: TypeAlias = Generator[LlmPredictionFragment, None, None]


class PredictionStream:
    """Iterate it for `LlmPredictionFragment`s, then ask for `result()`; or `wait_for_result()`."""

    def __init__(self, prediction: Prediction, callbacks: CallOptions) -> None:
        self._prediction = prediction
        self._callbacks = callbacks
        self._started = False
        self._received = False
        # Weak, so that a loop left by `break` lets go of the iterator, which ends it at once.
        self._running: weakref.ref[Fragments] | None = None
        self._result: PredictionResult | None = None
        self._error: BaseException | None = None
        self._progress = -1.0

    def start(self) -> None:
        """Say that the answer is wanted; it is made while it is iterated."""
        if self._started:
            raise LMStudioRuntimeError("the prediction request has already been sent")
        self._started = True

    def cancel(self) -> None:
        """End the answer after the current fragment, from any thread; before the start, at once."""
        self._prediction.cancelled = True

    def close(self) -> None:
        """Give up an unfinished answer: `result` then raises `LMStudioCancelledError`."""
        self._give_up()
        running = self._running and self._running()
        if running:
            # Another thread may be making it: then it ends at its next token.
            with suppress(ValueError):
                running.close()

    def wait_for_result(self) -> PredictionResult:
        """Make the whole answer and return it."""
        for _ in self:
            pass
        return self.result()

    def result(self) -> PredictionResult:
        """Return the finished answer, or raise what ended it; does not wait."""
        if self._error is not None:
            raise self._error
        if self._result is not None:
            return self._result
        if not self._started:
            raise LMStudioRuntimeError("the prediction has not been initiated: iterate the stream")
        raise LMStudioRuntimeError("the prediction has not yet been completed")

    @property
    def tool_calls(self) -> list[str]:
        """The text of each tool call the answer made, when tools were offered."""
        return self._prediction.tool_calls

    @property
    def stats(self) -> LlmPredictionStats | None:
        """Statistics, once finished."""
        return self._result.stats if self._result else None

    @property
    def model_info(self) -> LlmInfo | None:
        """The model that answered, once finished."""
        return self._result.model_info if self._result else None

    @property
    def _load_config(self) -> LlmLoadModelConfig | None:
        return self._result.load_config if self._result else None

    @property
    def _prediction_config(self) -> LlmPredictionConfig | None:
        return self._result.prediction_config if self._result else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_up(error)
        self.close()

    def __iter__(self) -> Fragments:
        if self._received:
            raise LMStudioRuntimeError("the prediction has already been received")
        self._received = self._started = True
        running = self._fragments()
        self._running = weakref.ref(running)
        return running

    def _fragments(self) -> Fragments:
        heard = self._callbacks
        first = heard.on_first_token
        making = self._prediction.fragments(self._report_progress)
        try:
            for fragment in making:
                call_back(first)
                call_back(heard.on_prediction_fragment, fragment)
                first = None
                yield fragment
        except GeneratorExit:
            making.close()
            self._finish()
            raise
        except BaseException as error:
            self._error = self._error or error
            raise
        self._finish()

    def _report_progress(self, share: float) -> None:
        if share > self._progress:
            self._progress = share
            call_back(self._callbacks.on_prompt_processing_progress, share)

    def _finish(self) -> None:
        if self._ended:
            return
        self._result = self._prediction.result()
        if self._callbacks.on_message is not None:
            message = AssistantResponse(content=[TextData(text=self._result.content)])
            call_back(self._callbacks.on_message, message)

    @property
    def _ended(self) -> bool:
        """Whether `result` has an answer or an error to raise."""
        return self._result is not None or self._error is not None

    def _give_up(self, error: BaseException | None = None) -> None:
        """Make this error the result of an unfinished answer; `close` then ends its work."""
        if not self._ended:
            self._error = error or LMStudioCancelledError(
                "the prediction was closed before it was complete"
            )
            self.cancel()

    def _leave(self) -> None:
        """Make what there is so far the result of an unfinished answer; `close` ends its work."""
        if not self._ended:
            self.cancel()
            self._finish()

    def _tell_through(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Call `wrap(callback)` instead of each callback."""
        self._callbacks = self._callbacks.wrapped(wrap)
