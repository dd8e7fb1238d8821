"""EmbeddingModel: the handle of a loaded embedding model, with LM Studio's methods and a
reranker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload

from ..errors import LMStudioValueError
from .handle import SyncModelHandle
from .texts import checked_text, text_errors


class EmbeddingModel(SyncModelHandle):
    """A loaded embedding model: `gnomon.embedding_model("all-minilm-l6-v2").embed("Hi")`.

    Vectors have length 1, so the cosine of two is the sum of their products:

        a, b = model.embed(["a man eats bread", "somebody is eating"])
        similarity = sum(x * y for x, y in zip(a, b, strict=True))
    """

    @overload
    def embed(  # type: ignore[overload-overlap]  # a text is an iterable of texts, too
        self, input: str, *, normalize: bool = True
    ) -> list[float]: ...

    @overload
    def embed(self, input: Iterable[str], *, normalize: bool = True) -> list[list[float]]: ...

    def embed(
        self, input: str | Iterable[str], *, normalize: bool = True
    ) -> list[float] | list[list[float]]:
        """The vector of a text, or a list of them for several texts.

        A text's vector is the same alone and among others. Vectors have length 1 if `normalize`. A
        text longer than the context is an error. A file without pooling gives a vector per token.
        """
        if isinstance(input, str):
            vectors: list[list[float]] = self.embed([input], normalize=normalize)
            return vectors[0]
        from ..embed import embed

        texts = self._ids(input, "embed")
        with self._instance.in_use() as model:
            return [vector.tolist() for vector in embed(model, texts, normalize)]

    def rank(self, query: str, documents: Iterable[str]) -> list[float]:
        """How well each document answers a query, by a reranker's classifier: higher is better."""
        from ..rank import rank

        checked_text(query, "rank")
        texts = self._checked(documents, "rank")
        with self._instance.in_use() as model, text_errors():
            return rank(model, query, texts)

    def count_tokens(self, input: str) -> int:
        """How many ids a text has, without those that `tokenize` puts around it."""
        with self._instance.in_use() as model, text_errors():
            text = checked_text(input, "count_tokens")
            return len(model.tokenizer.encode(text, add_special=False))

    def _ids(self, input: Iterable[str], method: str) -> list[list[int]]:
        with self._instance.in_use() as model, text_errors():
            return [model.tokenizer.encode(text) for text in self._checked(input, method)]

    @staticmethod
    def _checked(input: Iterable[str], method: str) -> list[str]:
        if isinstance(input, str | bytes | bytearray):
            raise LMStudioValueError(f"{method}: expected several texts, found one")
        return [checked_text(text, method) for text in input]
