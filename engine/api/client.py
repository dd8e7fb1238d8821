"""Where callers start: `llm` and its like, and a `Client` shaped as LM Studio's, all in process."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Self, TypeAlias

from ...formats.errors import GGUFError
from ...formats.gguf import open_gguf
from ..errors import LMStudioClientError, LMStudioValueError, ModelLoadError
from .config import LoadConfigInput, note_once, parse_load_config
from .folder import Found, downloaded, models_folder, relative
from .llm import LLM
from .registry import REGISTRY, Registry, model_info
from .results import LlmInfo, LlmInstanceInfo

NAMESPACES = (None, "llm", "embedding")
LoadProgress: TypeAlias = Callable[[float], Any]
LocalFileInput: TypeAlias = BinaryIO | bytes | str | PathLike[str]


class DownloadedLlm:
    """A model file in the models folder, not loaded yet."""

    type = "llm"

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
    def info(self) -> LlmInfo:
        """Facts from the file's metadata; `ModelLoadError` if it cannot be read."""
        try:
            with open_gguf(self._found.path) as file:
                return model_info(self._found, file.metadata, file.size_bytes)
        except (GGUFError, OSError) as error:
            raise ModelLoadError(f"cannot read {self._found.path}: {error}") from error

    def model(
        self,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> LLM:
        """Get it loaded: the instance there is, or a new one."""
        return LlmSession(self._registry).model(
            self.model_key, ttl=ttl, config=config, on_load_progress=on_load_progress
        )

    def load_new_instance(
        self,
        *,
        ttl: int | None = None,
        instance_identifier: str | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> LLM:
        """Load it once more, whatever is loaded."""
        return LlmSession(self._registry).load_new_instance(
            self.model_key,
            instance_identifier,
            ttl=ttl,
            config=config,
            on_load_progress=on_load_progress,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DownloadedLlm) and other._found == self._found

    def __hash__(self) -> int:
        return hash(self._found)

    def __repr__(self) -> str:
        return f"DownloadedLlm(model_key={self.model_key!r}, path={self.path!r})"


AnyDownloadedModel: TypeAlias = DownloadedLlm


class LlmSession:
    """`client.llm`: load, list and unload language models."""

    connected = True

    def __init__(self, registry: Registry = REGISTRY) -> None:
        self._registry = registry

    def model(
        self,
        model_key: str | None = None,
        /,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> LLM:
        """Return a loaded model, loading it if need be; no key: any, or the default model."""
        _note_ttl(ttl)
        return LLM(self._registry.get(model_key, parse_load_config(config), on_load_progress))

    def load_new_instance(
        self,
        model_key: str,
        instance_identifier: str | None = None,
        *,
        ttl: int | None = None,
        config: LoadConfigInput = None,
        on_load_progress: LoadProgress | None = None,
    ) -> LLM:
        """Load a model once more; an identifier in use is refused."""
        _note_ttl(ttl)
        checked = parse_load_config(config)
        return LLM(self._registry.load(model_key, instance_identifier, checked, on_load_progress))

    def list_loaded(self) -> list[LLM]:
        """Handles of every loaded model."""
        return [LLM(instance) for instance in self._registry.loaded()]

    def list_downloaded(self) -> list[DownloadedLlm]:
        """Every model file in the models folder."""
        return [DownloadedLlm(found, self._registry) for found in downloaded(models_folder())]

    def unload(self, identifier: str) -> None:
        """Unload by identifier."""
        self._registry.unload(identifier)

    def get_model_info(self, identifier: str) -> LlmInstanceInfo:
        """Facts about a loaded model."""
        return LLM(self._registry.named(identifier)).get_info()


class Client:
    """LM Studio's client without its server: models run here, a host is accepted and not used."""

    def __init__(self, api_host: str | None = None) -> None:
        if api_host is not None:
            note_once("Client: api_host is not used, models run in this process")
        self.api_host = api_host
        self.llm = LlmSession()

    def list_downloaded_models(self, namespace: str | None = None) -> list[DownloadedLlm]:
        """Every model file in the models folder."""
        return list_downloaded_models(namespace)

    def list_loaded_models(self, namespace: str | None = None) -> list[LLM]:
        """Handles of every loaded model."""
        return list_loaded_models(namespace)

    def close(self) -> None:
        """Nothing to close: loaded models stay, as on a server."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def llm(
    model_key: str | None = None,
    /,
    *,
    ttl: int | None = None,
    config: LoadConfigInput = None,
) -> LLM:
    """Return a loaded model: `llm("smollm2-135m-instruct")`, `llm("path/to/model.gguf")`.

    One that is loaded with this config (or any, if none is given) is returned as it is. A model of
    the catalogue is fetched the first time. Without a key: any loaded model, else the default one.
    """
    return LlmSession().model(model_key, ttl=ttl, config=config)


def list_downloaded_models(namespace: str | None = None) -> list[DownloadedLlm]:
    """Every model file in the models folder; `namespace` is None, "llm" or "embedding"."""
    _check_namespace(namespace)
    return [] if namespace == "embedding" else LlmSession().list_downloaded()


def list_loaded_models(namespace: str | None = None) -> list[LLM]:
    """Handles of every loaded model; `namespace` is None, "llm" or "embedding"."""
    _check_namespace(namespace)
    return [] if namespace == "embedding" else LlmSession().list_loaded()


def get_default_client(api_host: str | None = None) -> Client:
    """A client; all of them share the models of this process."""
    return Client(api_host)


def configure_default_client(api_host: str) -> None:
    """Accepted and not used: there is no host."""
    Client(api_host)


_timeout: float | None = 60.0


def get_sync_api_timeout() -> float | None:
    """The number last set; nothing in this process waits for a server."""
    return _timeout


def set_sync_api_timeout(timeout: float | None) -> None:
    """Kept for callers that set it; it has no effect."""
    global _timeout
    if timeout is not None and timeout < 0:
        raise LMStudioValueError(f"timeout is {timeout}, expected a number >= 0 or None")
    _timeout = timeout


def prepare_image(src: LocalFileInput, name: str | None = None) -> NoReturn:
    """Refused: no model here reads images yet."""
    raise LMStudioClientError(f"cannot prepare image {name or src!r}: models here read text only")


def _check_namespace(namespace: str | None) -> None:
    if namespace not in NAMESPACES:
        raise LMStudioValueError(f"namespace is {namespace!r}, expected None, 'llm' or 'embedding'")


def _note_ttl(ttl: int | None) -> None:
    if ttl is not None:
        note_once("ttl is not used: models stay loaded until unload() or the end of the process")
