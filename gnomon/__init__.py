"""GGUF language models on a CPU, in process: `import gnomon as lms`, with LM Studio's Python names.

    model = lms.llm("smollm2-135m-instruct")
    print(model.respond("What is the capital of France?"))

Names load when they are first used: this import takes milliseconds, the engine comes with the
first model.
"""

# ruff: noqa: I001  (sorted, but grouped by module)

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine.api.async_client import (
        AsyncClient as AsyncClient,
    )
    from .engine.api.async_models import (
        AsyncEmbeddingModel as AsyncEmbeddingModel,
        AsyncLLM as AsyncLLM,
    )
    from .engine.api.async_sessions import (
        AnyAsyncDownloadedModel as AnyAsyncDownloadedModel,
        AsyncDownloadedEmbeddingModel as AsyncDownloadedEmbeddingModel,
        AsyncDownloadedLlm as AsyncDownloadedLlm,
    )
    from .engine.api.async_stream import (
        AsyncPredictionStream as AsyncPredictionStream,
    )
    from .engine.api.chat import (
        Chat as Chat,
    )
    from .engine.api.client import (
        Client as Client,
        LocalFileInput as LocalFileInput,
        configure_default_client as configure_default_client,
        embedding_model as embedding_model,
        get_default_client as get_default_client,
        get_sync_api_timeout as get_sync_api_timeout,
        list_downloaded_models as list_downloaded_models,
        list_loaded_models as list_loaded_models,
        llm as llm,
        prepare_image as prepare_image,
        set_sync_api_timeout as set_sync_api_timeout,
    )
    from .engine.api.config import (
        AnyLoadConfig as AnyLoadConfig,
        EmbeddingLoadModelConfig as EmbeddingLoadModelConfig,
        EmbeddingLoadModelConfigDict as EmbeddingLoadModelConfigDict,
        LlmLoadModelConfig as LlmLoadModelConfig,
        LlmLoadModelConfigDict as LlmLoadModelConfigDict,
        LlmPredictionConfig as LlmPredictionConfig,
        LlmPredictionConfigDict as LlmPredictionConfigDict,
    )
    from .engine.api.embedding import (
        EmbeddingModel as EmbeddingModel,
    )
    from .engine.api.handle import (
        SyncModelHandle as SyncModelHandle,
    )
    from .engine.api.llm import (
        LLM as LLM,
    )
    from .engine.api.messages import (
        AnyChatMessage as AnyChatMessage,
        AnyChatMessageDict as AnyChatMessageDict,
        AssistantResponse as AssistantResponse,
        AssistantResponseContent as AssistantResponseContent,
        ChatHistoryData as ChatHistoryData,
        ChatHistoryDataDict as ChatHistoryDataDict,
        FileHandle as FileHandle,
        FileHandleDict as FileHandleDict,
        FileHandleInput as FileHandleInput,
        FileType as FileType,
        SystemPrompt as SystemPrompt,
        SystemPromptContent as SystemPromptContent,
        TextData as TextData,
        TextDataDict as TextDataDict,
        ToolCallRequest as ToolCallRequest,
        ToolCallRequestData as ToolCallRequestData,
        ToolCallResultData as ToolCallResultData,
        ToolResultMessage as ToolResultMessage,
        UserMessage as UserMessage,
        UserMessageContent as UserMessageContent,
        UserMessageDict as UserMessageDict,
    )
    from .engine.api.options import (
        PredictionFirstTokenCallback as PredictionFirstTokenCallback,
        PredictionFragmentCallback as PredictionFragmentCallback,
        PredictionMessageCallback as PredictionMessageCallback,
        PromptProcessingCallback as PromptProcessingCallback,
    )
    from .engine.api.results import (
        ActResult as ActResult,
        EmbeddingModelInfo as EmbeddingModelInfo,
        EmbeddingModelInstanceInfo as EmbeddingModelInstanceInfo,
        LlmInfo as LlmInfo,
        LlmInstanceInfo as LlmInstanceInfo,
        LlmPredictionFragment as LlmPredictionFragment,
        LlmPredictionStats as LlmPredictionStats,
        ModelInfo as ModelInfo,
        ModelInstanceInfo as ModelInstanceInfo,
        ModelLoadResult as ModelLoadResult,
        PredictionResult as PredictionResult,
        PredictionRoundResult as PredictionRoundResult,
    )
    from .engine.api.sessions import (
        AnyDownloadedModel as AnyDownloadedModel,
        DownloadedEmbeddingModel as DownloadedEmbeddingModel,
        DownloadedLlm as DownloadedLlm,
    )
    from .engine.api.stream import (
        PredictionStream as PredictionStream,
    )
    from .engine.api.structs import (
        DictObject as DictObject,
        ValidationError as ValidationError,
    )
    from .engine.api.structured import (
        BaseModel as BaseModel,
        DictSchema as DictSchema,
        LlmStructuredPredictionSetting as LlmStructuredPredictionSetting,
        ModelSchema as ModelSchema,
        ResponseSchema as ResponseSchema,
    )
    from .engine.api.tools import (
        ToolDefinition as ToolDefinition,
        ToolFunctionDef as ToolFunctionDef,
        ToolFunctionDefDict as ToolFunctionDefDict,
    )
    from .engine.errors import (
        LMStudioCancelledError as LMStudioCancelledError,
        LMStudioChannelClosedError as LMStudioChannelClosedError,
        LMStudioClientError as LMStudioClientError,
        LMStudioError as LMStudioError,
        LMStudioModelNotFoundError as LMStudioModelNotFoundError,
        LMStudioOSError as LMStudioOSError,
        LMStudioPredictionError as LMStudioPredictionError,
        LMStudioPresetNotFoundError as LMStudioPresetNotFoundError,
        LMStudioRuntimeError as LMStudioRuntimeError,
        LMStudioServerError as LMStudioServerError,
        LMStudioTimeoutError as LMStudioTimeoutError,
        LMStudioUnknownMessageWarning as LMStudioUnknownMessageWarning,
        LMStudioValueError as LMStudioValueError,
        LMStudioWebsocketError as LMStudioWebsocketError,
        ModelLoadError as ModelLoadError,
    )
    from .engine.session import (
        Session as Session,
    )

# Where each public name lives; the imports above say the same to type checkers.
_HOMES = {
    ".engine.api.async_client": ("AsyncClient",),
    ".engine.api.async_models": (
        "AsyncEmbeddingModel",
        "AsyncLLM",
    ),
    ".engine.api.async_sessions": (
        "AnyAsyncDownloadedModel",
        "AsyncDownloadedEmbeddingModel",
        "AsyncDownloadedLlm",
    ),
    ".engine.api.async_stream": ("AsyncPredictionStream",),
    ".engine.api.chat": ("Chat",),
    ".engine.api.client": (
        "Client",
        "LocalFileInput",
        "configure_default_client",
        "embedding_model",
        "get_default_client",
        "get_sync_api_timeout",
        "list_downloaded_models",
        "list_loaded_models",
        "llm",
        "prepare_image",
        "set_sync_api_timeout",
    ),
    ".engine.api.config": (
        "AnyLoadConfig",
        "EmbeddingLoadModelConfig",
        "EmbeddingLoadModelConfigDict",
        "LlmLoadModelConfig",
        "LlmLoadModelConfigDict",
        "LlmPredictionConfig",
        "LlmPredictionConfigDict",
    ),
    ".engine.api.embedding": ("EmbeddingModel",),
    ".engine.api.handle": ("SyncModelHandle",),
    ".engine.api.llm": ("LLM",),
    ".engine.api.messages": (
        "AnyChatMessage",
        "AnyChatMessageDict",
        "AssistantResponse",
        "AssistantResponseContent",
        "ChatHistoryData",
        "ChatHistoryDataDict",
        "FileHandle",
        "FileHandleDict",
        "FileHandleInput",
        "FileType",
        "SystemPrompt",
        "SystemPromptContent",
        "TextData",
        "TextDataDict",
        "ToolCallRequest",
        "ToolCallRequestData",
        "ToolCallResultData",
        "ToolResultMessage",
        "UserMessage",
        "UserMessageContent",
        "UserMessageDict",
    ),
    ".engine.api.options": (
        "PredictionFirstTokenCallback",
        "PredictionFragmentCallback",
        "PredictionMessageCallback",
        "PromptProcessingCallback",
    ),
    ".engine.api.results": (
        "ActResult",
        "EmbeddingModelInfo",
        "EmbeddingModelInstanceInfo",
        "LlmInfo",
        "LlmInstanceInfo",
        "LlmPredictionFragment",
        "LlmPredictionStats",
        "ModelInfo",
        "ModelInstanceInfo",
        "ModelLoadResult",
        "PredictionResult",
        "PredictionRoundResult",
    ),
    ".engine.api.sessions": (
        "AnyDownloadedModel",
        "DownloadedEmbeddingModel",
        "DownloadedLlm",
    ),
    ".engine.api.stream": ("PredictionStream",),
    ".engine.api.structs": (
        "DictObject",
        "ValidationError",
    ),
    ".engine.api.structured": (
        "BaseModel",
        "DictSchema",
        "LlmStructuredPredictionSetting",
        "ModelSchema",
        "ResponseSchema",
    ),
    ".engine.api.tools": (
        "ToolDefinition",
        "ToolFunctionDef",
        "ToolFunctionDefDict",
    ),
    ".engine.errors": (
        "LMStudioCancelledError",
        "LMStudioChannelClosedError",
        "LMStudioClientError",
        "LMStudioError",
        "LMStudioModelNotFoundError",
        "LMStudioOSError",
        "LMStudioPredictionError",
        "LMStudioPresetNotFoundError",
        "LMStudioRuntimeError",
        "LMStudioServerError",
        "LMStudioTimeoutError",
        "LMStudioUnknownMessageWarning",
        "LMStudioValueError",
        "LMStudioWebsocketError",
        "ModelLoadError",
    ),
    ".engine.session": ("Session",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
