"""SyncModelHandle: what handles of every kind of model can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ..errors import LMStudioValueError
from .config import LlmLoadModelConfig
from .instance import Instance
from .registry import REGISTRY
from .results import ModelInstanceInfo
from .texts import checked_text, checked_tokens, text_errors

Texts: TypeAlias = str | Iterable[str]


class SyncModelHandle:
    """A loaded model. Two handles are equal if they mean the same loaded model."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    @property
    def identifier(self) -> str:
        """The name this loaded model goes by."""
        return self._instance.identifier

    def __repr__(self) -> str:
        return f"{type(self).__name__}(identifier={self.identifier!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SyncModelHandle) and other._instance is self._instance

    def __hash__(self) -> int:
        return hash(id(self._instance))

    def unload(self) -> None:
        """Free the model; predictions under way end with stop reason modelUnloaded."""
        REGISTRY.forget(self._instance)
        self._instance.unload()

    def get_info(self) -> ModelInstanceInfo:
        """Facts about the model and how it is loaded."""
        with self._instance.in_use():
            return self._instance.instance_info()

    def get_load_config(self) -> LlmLoadModelConfig:
        """The config the model was loaded with."""
        with self._instance.in_use():
            return self._instance.config

    def get_context_length(self) -> int:
        """How many tokens the loaded context holds (prompt and answer together)."""
        with self._instance.in_use() as model:
            return model.context_length

    def tokenize(
        self, input: Texts, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int] | list[list[int]]:
        """Ids of a text, or a list of them for several texts.

        `add_special` adds BOS or EOS as the file says; text that looks like a control token is
        ordinary text unless `parse_special`.
        """
        with self._instance.in_use() as model:

            def encode(text: str) -> list[int]:
                with text_errors():
                    ids: list[int] = model.tokenizer.encode(
                        text, add_special=add_special, parse_special=parse_special
                    )
                return ids

            if isinstance(input, str):
                return encode(input)
            if isinstance(input, bytes | bytearray):
                raise LMStudioValueError("tokenize: expected a str or several, found bytes")
            return [encode(checked_text(text, "tokenize")) for text in input]

    def count_tokens(self, input: str) -> int:
        """How many ids `tokenize` gives for a text."""
        with self._instance.in_use() as model, text_errors():
            return len(model.tokenizer.encode(checked_text(input, "count_tokens")))

    def detokenize(self, ids: Iterable[int], *, special: bool = False) -> str:
        """Text of ids; control tokens show only if `special`."""
        with self._instance.in_use() as model, text_errors():
            tokens = checked_tokens(ids, model.tokenizer.n_vocab)
            text: str = model.tokenizer.decode(tokens, special=special)
            return text
