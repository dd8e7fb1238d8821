"""The error tree: LM Studio's names, so that handlers written for its SDK keep working.

    LMStudioError(Exception)
      LMStudioOSError(OSError)            a local file cannot be read
      LMStudioRuntimeError(RuntimeError)  calls in the wrong order
      LMStudioValueError(ValueError)      a value from the caller is not acceptable
      LMStudioTimeoutError(TimeoutError)  never raised in process; kept for `except` clauses
      LMStudioServerError                 the engine failed
        ModelLoadError                    a file cannot be loaded; the cause is the format's error
        LMStudioModelNotFoundError        no such model, or no longer loaded
        LMStudioPresetNotFoundError       presets belong to the LM Studio app
        LMStudioChannelClosedError        never raised in process
        LMStudioPredictionError           a prediction or a tool call failed
      LMStudioClientError                 the engine was asked for something it cannot be
        LMStudioCancelledError            a result was asked for after its stream was closed
        LMStudioWebsocketError            never raised in process

`formats` raises its own `ValueError` subclasses; `ModelLoadError` wraps them.
"""

from __future__ import annotations


class LMStudioError(Exception):
    """Base of every error the public API raises on purpose."""


class LMStudioOSError(OSError, LMStudioError):
    """A local file or the operating system refused."""


class LMStudioRuntimeError(RuntimeError, LMStudioError):
    """Calls came in an order that has no meaning."""


class LMStudioValueError(ValueError, LMStudioError):
    """A value given by the caller is not acceptable; the text says which and what is."""


class LMStudioTimeoutError(TimeoutError, LMStudioError):
    """A reply took too long (kept for `except` clauses: nothing waits for a server here)."""


class LMStudioServerError(LMStudioError):
    """The engine could not do what it was asked."""

    # What LM Studio's SDK keeps of a server's reply; in process there is none.
    server_error: object | None = None
    _raw_error: object | None = None


class ModelLoadError(LMStudioServerError):
    """A model file cannot be loaded; `__cause__` is the format error that says where."""


class LMStudioModelNotFoundError(LMStudioServerError):
    """No model has that key, path or identifier, or it has been unloaded."""


class LMStudioPresetNotFoundError(LMStudioServerError):
    """No preset has that name."""


class LMStudioChannelClosedError(LMStudioServerError):
    """A channel closed without a result (kept for `except` clauses)."""


class LMStudioPredictionError(LMStudioServerError):
    """A prediction, or a tool call inside one, failed."""


class LMStudioClientError(LMStudioError):
    """The engine was asked for something it cannot be, such as a remote host."""


class LMStudioCancelledError(LMStudioClientError):
    """The stream was closed before its answer was complete."""


class LMStudioWebsocketError(LMStudioClientError):
    """A connection failed (kept for `except` clauses)."""


class LMStudioUnknownMessageWarning(LMStudioError, UserWarning):
    """An unknown message arrived (kept for `except` and warning filters)."""


__all__ = [
    "LMStudioCancelledError",
    "LMStudioChannelClosedError",
    "LMStudioClientError",
    "LMStudioError",
    "LMStudioModelNotFoundError",
    "LMStudioOSError",
    "LMStudioPredictionError",
    "LMStudioPresetNotFoundError",
    "LMStudioRuntimeError",
    "LMStudioServerError",
    "LMStudioTimeoutError",
    "LMStudioUnknownMessageWarning",
    "LMStudioValueError",
    "LMStudioWebsocketError",
    "ModelLoadError",
]

# A traceback shows the name callers import.
for _name in __all__:
    globals()[_name].__module__ = "gnomon"
