"""AsyncClient: where asyncio callers start, shaped as LM Studio's; models run in this process.

    async with gnomon.AsyncClient() as client:
        model = await client.llm.model("smollm2-135m-instruct")
        async for fragment in await model.respond_stream("Hi"):
            print(fragment.content, end="")

Only asyncio is needed: anyio and trio are not supported.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from .async_models import AsyncEmbeddingModel, AsyncLLM
from .async_sessions import (
    AnyAsyncDownloadedModel,
    AsyncDownloadedEmbeddingModel,
    AsyncDownloadedLlm,
    AsyncEmbeddingSession,
    AsyncLlmSession,
)
from .client import Client
from .llm import LLM
from .sessions import DownloadedLlm


class AsyncClient:
    """LM Studio's client without its server; it works inside `async with` and outside."""

    def __init__(self, api_host: str | None = None) -> None:
        self._client = Client(api_host)
        self.api_host = api_host
        self.llm = AsyncLlmSession(self._client.llm)
        self.embedding = AsyncEmbeddingSession(self._client.embedding)

    async def list_downloaded_models(
        self, namespace: str | None = None
    ) -> list[AnyAsyncDownloadedModel]:
        """Every model file in the models folder."""
        found = await asyncio.to_thread(self._client.list_downloaded_models, namespace)
        return [
            AsyncDownloadedLlm(model)
            if isinstance(model, DownloadedLlm)
            else AsyncDownloadedEmbeddingModel(model)
            for model in found
        ]

    async def list_loaded_models(
        self, namespace: str | None = None
    ) -> list[AsyncLLM | AsyncEmbeddingModel]:
        """Handles of every loaded model."""
        loaded = await asyncio.to_thread(self._client.list_loaded_models, namespace)
        return [
            AsyncLLM(model) if isinstance(model, LLM) else AsyncEmbeddingModel(model)
            for model in loaded
        ]

    async def aclose(self) -> None:
        """Nothing to close: loaded models stay, as on a server."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
