"""Texts and ids from callers, checked; what tokenizers refuse, in the public error tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from typing import Any

from ...formats.errors import TokenizerError
from ..errors import LMStudioValueError


@contextmanager
def text_errors() -> Iterator[None]:
    """What a tokenizer refuses comes as `LMStudioValueError`."""
    try:
        yield
    except TokenizerError as error:
        raise LMStudioValueError(str(error)) from error


def checked_text(value: Any, method: str) -> str:
    """The value if it is a text; else an error that names the method."""
    if isinstance(value, str):
        return value
    raise LMStudioValueError(f"{method}: expected a str, found {type(value).__name__}")


def checked_tokens(ids: Iterable[Any], n_vocab: int) -> list[int]:
    """The ids as a list; one outside the vocabulary is an error."""
    tokens = [index(token) for token in ids]
    for token in tokens:
        if not 0 <= token < n_vocab:
            raise LMStudioValueError(f"token id: found {token}, expected 0 to {n_vocab - 1}")
    return tokens
