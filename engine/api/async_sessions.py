"""Sessions of an AsyncClient, one per kind of model: those of sessions.py as coroutines.

A task that is cancelled while a model loads is let go; the model is loaded all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from .async_models import AsyncEmbeddingModel, AsyncLLM
from .background import on_loop
from .config import LoadConfigInput
from .kinds import Kind
from .results import EmbeddingModelInfo, LlmInfo, ModelInstanceInfo
from .sessions import (
    DownloadedEmbeddingModel,
    DownloadedLlm,
    EmbeddingSession,
    LlmSession,
    LoadProgress,
    ModelKey,
)

H = TypeVar("H", AsyncLLM, AsyncEmbeddingModel)
D = TypeVar("D", bound=DownloadedLlm | DownloadedEmbeddingModel)
Info = TypeVar("Info", LlmInfo, EmbeddingModelInfo)


class AsyncModelSession(Generic[H]):
    """Load, list and unload models of one kind; see `ModelSession`."""

    connected = True
    _handle: Callable[[Any], H]
    _session: LlmSession | EmbeddingSession

    async def model(
        self,
        model_key: ModelKey | None = None,
        /,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Return a loaded model, loading it if need be; no key: any, or the default model."""
        return await _loaded(
            self._handle, self._session.model, on_load_progress, model_key, ttl=ttl, config=config
        )

    async def load_new_instance(
        self,
        model_key: ModelKey,
        instance_identifier: str | None = None,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Load a model once more; an identifier in use is refused."""
        return await _loaded(
            self._handle,
            self._session.load_new_instance,
            on_load_progress,
            model_key,
            instance_identifier,
            ttl=ttl,
            config=config,
        )

    async def list_loaded(self) -> list[H]:
        """Handles of every loaded model of this kind."""
        return list(map(self._handle, await asyncio.to_thread(self._session.list_loaded)))

    async def unload(self, identifier: str) -> None:
        """Unload by identifier."""
        await asyncio.to_thread(self._session.unload, identifier)

    async def get_model_info(self, identifier: str) -> ModelInstanceInfo:
        """Facts about a loaded model."""
        return await asyncio.to_thread(self._session.get_model_info, identifier)


class AsyncLlmSession(AsyncModelSession[AsyncLLM]):
    """`client.llm`: language models."""

    _handle = AsyncLLM

    def __init__(self, session: LlmSession) -> None:
        self._session: LlmSession = session

    async def list_downloaded(self) -> list[AsyncDownloadedLlm]:
        """Every language model's file in the models folder."""
        found = await asyncio.to_thread(self._session.list_downloaded)
        return list(map(AsyncDownloadedLlm, found))


class AsyncEmbeddingSession(AsyncModelSession[AsyncEmbeddingModel]):
    """`client.embedding`: embedding models."""

    _handle = AsyncEmbeddingModel

    def __init__(self, session: EmbeddingSession) -> None:
        self._session: EmbeddingSession = session

    async def list_downloaded(self) -> list[AsyncDownloadedEmbeddingModel]:
        """Every embedding model's file in the models folder."""
        found = await asyncio.to_thread(self._session.list_downloaded)
        return list(map(AsyncDownloadedEmbeddingModel, found))


class _AsyncDownloaded(Generic[D, H, Info]):
    """A model file in the models folder, not loaded yet."""

    _handle: Callable[[Any], H]

    def __init__(self, found: D) -> None:
        self._found = found

    @property
    def type(self) -> Kind:
        """Which kind of model it is."""
        return self._found.type

    @property
    def model_key(self) -> str:
        """The name to load it by."""
        return self._found.model_key

    @property
    def path(self) -> str:
        """The file, relative to the models folder."""
        return self._found.path

    @property
    def info(self) -> Info:
        """Facts from the file's metadata, read when asked; `ModelLoadError` if it cannot be."""
        info: Any = self._found.info
        return info  # type: ignore[no-any-return]

    async def model(
        self,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Get it loaded: the instance there is, or a new one."""
        return await _loaded(
            self._handle, self._found.model, on_load_progress, ttl=ttl, config=config
        )

    async def load_new_instance(
        self,
        *,
        ttl: int | None = None,
        instance_identifier: str | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Load it once more, whatever is loaded."""
        return await _loaded(
            self._handle,
            self._found.load_new_instance,
            on_load_progress,
            instance_identifier=instance_identifier,
            ttl=ttl,
            config=config,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other._found == self._found

    def __hash__(self) -> int:
        return hash(self._found)

    def __repr__(self) -> str:
        return f"Async{self._found!r}"


class AsyncDownloadedLlm(_AsyncDownloaded[DownloadedLlm, AsyncLLM, LlmInfo]):
    """A language model's file in the models folder, not loaded yet."""

    _handle = AsyncLLM


class AsyncDownloadedEmbeddingModel(
    _AsyncDownloaded[DownloadedEmbeddingModel, AsyncEmbeddingModel, EmbeddingModelInfo]
):
    """An embedding model's file in the models folder, not loaded yet."""

    _handle = AsyncEmbeddingModel


AnyAsyncDownloadedModel: TypeAlias = AsyncDownloadedLlm | AsyncDownloadedEmbeddingModel


async def _loaded(
    handle: Callable[[Any], H],
    load: Callable[..., Any],
    on_load_progress: LoadProgress | None,
    *names: ModelKey | None,
    **options: Any,
) -> H:
    tell = on_load_progress and on_loop(on_load_progress)
    return handle(await asyncio.to_thread(load, *names, on_load_progress=tell, **options))
