"""Where callers start: `llm` and its like, and a `Client` shaped as LM Studio's, all in process."""

from __future__ import annotations

from os import PathLike
from types import TracebackType
from typing import BinaryIO, NoReturn, Self, TypeAlias

from ..errors import LMStudioClientError, LMStudioValueError
from .config import LoadConfigInput, note_once
from .embedding import EmbeddingModel
from .llm import LLM
from .sessions import AnyDownloadedModel, EmbeddingSession, LlmSession, ModelKey

NAMESPACES = (None, "llm", "embedding")
LocalFileInput: TypeAlias = BinaryIO | bytes | str | PathLike[str]


class Client:
    """LM Studio's client without its server: models run here, a host is accepted and not used."""

    def __init__(self, api_host: str | None = None) -> None:
        if api_host is not None:
            note_once("Client: api_host is not used, models run in this process")
        self.api_host = api_host
        self.llm = LlmSession()
        self.embedding = EmbeddingSession()

    def list_downloaded_models(self, namespace: str | None = None) -> list[AnyDownloadedModel]:
        """Every model file in the models folder."""
        return list_downloaded_models(namespace)

    def list_loaded_models(self, namespace: str | None = None) -> list[LLM | EmbeddingModel]:
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
    model_key: ModelKey | None = None,
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


def embedding_model(
    model_key: ModelKey | None = None,
    /,
    *,
    ttl: int | None = None,
    config: LoadConfigInput = None,
) -> EmbeddingModel:
    """Return a loaded embedding model: `embedding_model("all-minilm-l6-v2").embed("Hi")`.

    What `llm` says of keys and configs holds here too.
    """
    return EmbeddingSession().model(model_key, ttl=ttl, config=config)


def list_downloaded_models(namespace: str | None = None) -> list[AnyDownloadedModel]:
    """Every model file in the models folder; `namespace` is None, "llm" or "embedding"."""
    _check_namespace(namespace)
    llms = [] if namespace == "embedding" else LlmSession().list_downloaded()
    return [*llms, *([] if namespace == "llm" else EmbeddingSession().list_downloaded())]


def list_loaded_models(namespace: str | None = None) -> list[LLM | EmbeddingModel]:
    """Handles of every loaded model; `namespace` is None, "llm" or "embedding"."""
    _check_namespace(namespace)
    llms = [] if namespace == "embedding" else LlmSession().list_loaded()
    return [*llms, *([] if namespace == "llm" else EmbeddingSession().list_loaded())]


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
