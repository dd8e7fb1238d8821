"""AsyncLLM, AsyncEmbeddingModel: handles of loaded models for asyncio, with the methods of LLM and
EmbeddingModel as coroutines.

Nothing here blocks the event loop: the work is done in threads. Options and errors are those of
the handles that wait. anyio and trio are not needed, and not supported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar, Unpack, overload

from . import async_act
from .act import Act, ActOptions
from .async_stream import AsyncPredictionStream
from .background import computed
from .chat import Chat, ChatInput
from .config import LlmLoadModelConfig
from .embedding import EmbeddingModel
from .handle import SyncModelHandle, Texts
from .llm import LLM
from .options import PredictionOptions
from .results import ActResult, ModelInstanceInfo, PredictionResult
from .tools import ToolDefinition

H = TypeVar("H", bound=SyncModelHandle)


class AsyncModelHandle(Generic[H]):
    """A loaded model. Two handles are equal if they mean the same loaded model."""

    def __init__(self, handle: H) -> None:
        self._handle = handle

    @property
    def identifier(self) -> str:
        """The name this loaded model goes by."""
        return self._handle.identifier

    def __repr__(self) -> str:
        return f"{type(self).__name__}(identifier={self.identifier!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncModelHandle) and other._handle == self._handle

    def __hash__(self) -> int:
        return hash(self._handle)

    async def unload(self) -> None:
        """Free the model; predictions under way end with stop reason modelUnloaded."""
        await asyncio.to_thread(self._handle.unload)

    async def get_info(self) -> ModelInstanceInfo:
        """Facts about the model and how it is loaded."""
        return await asyncio.to_thread(self._handle.get_info)

    async def get_load_config(self) -> LlmLoadModelConfig:
        """The config the model was loaded with."""
        return await asyncio.to_thread(self._handle.get_load_config)

    async def get_context_length(self) -> int:
        """How many tokens the loaded context holds (prompt and answer together)."""
        return await asyncio.to_thread(self._handle.get_context_length)

    async def tokenize(
        self, input: Texts, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int] | list[list[int]]:
        """Ids of a text, or a list of them for several texts."""
        return await asyncio.to_thread(
            self._handle.tokenize, input, add_special=add_special, parse_special=parse_special
        )

    async def count_tokens(self, input: str) -> int:
        """How many ids a text has."""
        return await asyncio.to_thread(self._handle.count_tokens, input)

    async def detokenize(self, ids: Iterable[int], *, special: bool = False) -> str:
        """Text of ids; control tokens show only if `special`."""
        return await asyncio.to_thread(self._handle.detokenize, ids, special=special)


class AsyncLLM(AsyncModelHandle[LLM]):
    """A loaded language model: `AsyncLLM(gnomon.llm(...))`, or `await client.llm.model(...)`.

    Any number of tasks may call one handle. A task that is cancelled ends its answer. Callbacks
    are plain functions, called on the event loop.
    """

    async def respond(
        self, history: ChatInput, **options: Unpack[PredictionOptions]
    ) -> PredictionResult:
        """Answer a chat, a dict with `messages`, or a user's text."""
        return await (await self.respond_stream(history, **options)).wait_for_result()

    async def respond_stream(
        self, history: ChatInput, **options: Unpack[PredictionOptions]
    ) -> AsyncPredictionStream:
        """Answer like `respond`, piece by piece: await this, then `async for`."""
        chat = Chat.from_history(history)  # before another task can change it
        return AsyncPredictionStream(
            await asyncio.to_thread(self._handle.respond_stream, chat, **options)
        )

    async def complete(self, prompt: str, **options: Unpack[PredictionOptions]) -> PredictionResult:
        """Continue a text, without any template."""
        return await (await self.complete_stream(prompt, **options)).wait_for_result()

    async def complete_stream(
        self, prompt: str, **options: Unpack[PredictionOptions]
    ) -> AsyncPredictionStream:
        """Continue a text like `complete`, piece by piece: await this, then `async for`."""
        return AsyncPredictionStream(
            await asyncio.to_thread(self._handle.complete_stream, prompt, **options)
        )

    async def act(
        self, chat: ChatInput, tools: Iterable[ToolDefinition], **options: Unpack[ActOptions]
    ) -> ActResult:
        """Answer with the help of tools, which may be coroutines; see `LLM.act`.

        Other tools run in threads. Results are told in the order the model asked for them.
        """
        return await async_act.run(
            Act(**options), self._handle._open_round, Chat.from_history(chat), tools
        )

    async def apply_prompt_template(
        self, history: ChatInput, opts: Mapping[str, Any] | None = None
    ) -> str:
        """The text that the model reads for a chat; see `LLM.apply_prompt_template`."""
        chat = Chat.from_history(history)
        return await asyncio.to_thread(self._handle.apply_prompt_template, chat, opts)


class AsyncEmbeddingModel(AsyncModelHandle[EmbeddingModel]):
    """A loaded embedding model: `await client.embedding.model("all-minilm-l6-v2")`.

    A task that is cancelled is let go; what it had computed runs to its end.
    """

    @overload
    async def embed(  # type: ignore[overload-overlap]  # a text is an iterable of texts, too
        self, input: str, *, normalize: bool = True
    ) -> list[float]: ...

    @overload
    async def embed(self, input: Iterable[str], *, normalize: bool = True) -> list[list[float]]: ...

    async def embed(
        self, input: str | Iterable[str], *, normalize: bool = True
    ) -> list[float] | list[list[float]]:
        """The vector of a text, or a list of them for several texts; see `EmbeddingModel.embed`."""

        def embed() -> list[float] | list[list[float]]:
            return self._handle.embed(input, normalize=normalize)

        return await computed(embed)

    async def rank(self, query: str, documents: Iterable[str]) -> list[float]:
        """How well each document answers a query, by a reranker's classifier: higher is better."""
        return await computed(self._handle.rank, query, documents)
