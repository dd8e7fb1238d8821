"""Sessions of a client, one per kind of model: load, list, unload; and the files not loaded yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from ...formats.errors import GGUFError
from ...formats.gguf import open_gguf
from ..errors import LMStudioValueError, ModelLoadError
from .config import LoadConfigInput, note_once, parse_load_config
from .embedding import EmbeddingModel
from .folder import Found, downloaded, models_folder, relative
from .kinds import Kind, kind_of_file
from .llm import LLM
from .registry import REGISTRY, Registry, model_info
from .results import EmbeddingModelInfo, LlmInfo, ModelInstanceInfo

ModelKey: TypeAlias = str | os.PathLike[str]
LoadProgress: TypeAlias = Callable[[float], Any]
H = TypeVar("H", LLM, EmbeddingModel)
Info = TypeVar("Info", LlmInfo, EmbeddingModelInfo)


class ModelSession(Generic[H]):
    """Load, list and unload models of one kind."""

    connected = True
    kind: ClassVar[Kind]
    handle: type[H]

    def __init__(self, registry: Registry = REGISTRY) -> None:
        self._registry = registry

    def model(
        self,
        model_key: ModelKey | None = None,
        /,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Return a loaded model, loading it if need be; no key: any, or the default model."""
        _note_ttl(ttl)
        checked = parse_load_config(config)
        key = None if model_key is None else _checked_key(model_key)
        return self.handle(self._registry.get(key, checked, on_load_progress, self.kind))

    def load_new_instance(
        self,
        model_key: ModelKey,
        instance_identifier: str | None = None,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Load a model once more; an identifier in use is refused."""
        _note_ttl(ttl)
        checked = parse_load_config(config)
        return self.handle(
            self._registry.load(
                _checked_key(model_key), instance_identifier, checked, on_load_progress, self.kind
            )
        )

    def list_loaded(self) -> list[H]:
        """Handles of every loaded model of this kind."""
        return [self.handle(instance) for instance in self._registry.loaded(self.kind)]

    def unload(self, identifier: str) -> None:
        """Unload by identifier."""
        self._registry.unload(identifier, self.kind)

    def get_model_info(self, identifier: str) -> ModelInstanceInfo:
        """Facts about a loaded model."""
        return self.handle(self._registry.named(identifier, self.kind)).get_info()

    def _found(self) -> list[Found]:
        here = downloaded(models_folder())
        return [found for found in here if kind_of_file(found.path) == self.kind]


class LlmSession(ModelSession[LLM]):
    """`client.llm`: language models."""

    kind = "llm"
    handle = LLM

    def list_downloaded(self) -> list[DownloadedLlm]:
        """Every language model's file in the models folder."""
        return [DownloadedLlm(found, self._registry) for found in self._found()]


class EmbeddingSession(ModelSession[EmbeddingModel]):
    """`client.embedding`: embedding models."""

    kind = "embedding"
    handle = EmbeddingModel

    def list_downloaded(self) -> list[DownloadedEmbeddingModel]:
        """Every embedding model's file in the models folder."""
        return [DownloadedEmbeddingModel(found, self._registry) for found in self._found()]


class _Downloaded(Generic[H, Info]):
    """A model file in the models folder, not loaded yet."""

    type: ClassVar[Kind]
    _session: Callable[[Registry], ModelSession[H]]

    def __init__(self, found: Found, registry: Registry = REGISTRY) -> None:
        self._found = found
        self._registry = registry

    @property
    def model_key(self) -> str:
        """The name to load it by."""
        return self._found.key

    @property
    def path(self) -> str:
        """The file, relative to the models folder."""
        return relative(self._found.path, models_folder())

    @property
    def info(self) -> Info:
        """Facts from the file's metadata; `ModelLoadError` if it cannot be read."""
        try:
            with open_gguf(self._found.path) as file:
                info: Any = model_info(self._found, file.metadata, file.size_bytes, self.type)
        except (GGUFError, OSError) as error:
            raise ModelLoadError(f"cannot read {self._found.path}: {error}") from error
        return info  # type: ignore[no-any-return]

    def model(
        self,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Get it loaded: the instance there is, or a new one."""
        return self._session(self._registry).model(
            self.model_key, ttl=ttl, config=config, on_load_progress=on_load_progress
        )

    def load_new_instance(
        self,
        *,
        ttl: int | None = None,
        instance_identifier: str | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> H:
        """Load it once more, whatever is loaded."""
        return self._session(self._registry).load_new_instance(
            self.model_key,
            instance_identifier,
            ttl=ttl,
            config=config,
            on_load_progress=on_load_progress,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other._found == self._found

    def __hash__(self) -> int:
        return hash(self._found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model_key={self.model_key!r}, path={self.path!r})"


class DownloadedLlm(_Downloaded[LLM, LlmInfo]):
    """A language model's file in the models folder, not loaded yet."""

    type = "llm"
    _session = LlmSession


class DownloadedEmbeddingModel(_Downloaded[EmbeddingModel, EmbeddingModelInfo]):
    """An embedding model's file in the models folder, not loaded yet."""

    type = "embedding"
    _session = EmbeddingSession


AnyDownloadedModel: TypeAlias = DownloadedLlm | DownloadedEmbeddingModel


def _checked_key(given: ModelKey) -> str:
    key = os.fspath(given) if isinstance(given, os.PathLike) else given
    if isinstance(key, str):
        return key
    raise LMStudioValueError(f"model key: expected a str or a path, found {given!r}")


def _note_ttl(ttl: int | None) -> None:
    if ttl is not None:
        note_once("ttl is not used: models stay loaded until unload() or the end of the process")
