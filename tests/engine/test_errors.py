"""The error tree: bases that existing handlers rely on."""

from __future__ import annotations

import pickle

import pytest

from gnomon.engine import errors


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("LMStudioError", [Exception]),
        ("LMStudioOSError", [OSError, errors.LMStudioError]),
        ("LMStudioRuntimeError", [RuntimeError, errors.LMStudioError]),
        ("LMStudioValueError", [ValueError, errors.LMStudioError]),
        ("LMStudioTimeoutError", [TimeoutError, errors.LMStudioError]),
        ("LMStudioServerError", [errors.LMStudioError]),
        ("ModelLoadError", [errors.LMStudioServerError]),
        ("LMStudioModelNotFoundError", [errors.LMStudioServerError]),
        ("LMStudioPresetNotFoundError", [errors.LMStudioServerError]),
        ("LMStudioChannelClosedError", [errors.LMStudioServerError]),
        ("LMStudioPredictionError", [errors.LMStudioServerError]),
        ("LMStudioClientError", [errors.LMStudioError]),
        ("LMStudioCancelledError", [errors.LMStudioClientError]),
        ("LMStudioWebsocketError", [errors.LMStudioClientError]),
        ("LMStudioUnknownMessageWarning", [UserWarning, errors.LMStudioError]),
    ],
)
def test_an_error_has_its_bases(name: str, bases: list[type]) -> None:
    error = getattr(errors, name)
    assert all(issubclass(error, base) for base in bases)


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_show_the_name_callers_import(name: str) -> None:
    assert getattr(errors, name).__module__ == "gnomon"


def test_errors_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(errors.LMStudioValueError("seed is 1.5")))
    assert type(error) is errors.LMStudioValueError
    assert str(error) == "seed is 1.5"


def test_a_server_error_has_no_server_s_details() -> None:
    assert errors.LMStudioServerError("no").server_error is None
