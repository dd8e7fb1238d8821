"""The public names: listed, importable, light to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gnomon

SOURCE = Path(gnomon.__file__).read_text()


@pytest.mark.parametrize("name", gnomon.__all__)
def test_a_listed_name_can_be_had(name: str) -> None:
    assert getattr(gnomon, name) is not None


def test_names_are_listed_once_and_sorted() -> None:
    assert gnomon.__all__ == sorted(set(gnomon.__all__))


def test_type_checkers_see_the_same_names_at_the_same_homes() -> None:
    seen = {
        alias.name: "." + (node.module or "")
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == gnomon._HOME_OF


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'gnomon' has no attribute 'magic'"):
        _ = gnomon.magic


def test_dir_lists_the_names() -> None:
    assert set(gnomon.__all__) <= set(dir(gnomon))


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after `code`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(gnomon.__file__).parent.parent,
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


@pytest.mark.parametrize("code", ["import gnomon", "import gnomon; gnomon.llm, gnomon.Chat('hi')"])
def test_heavy_libraries_wait_for_the_first_model(code: str) -> None:
    heavy = {"numba", "tokenizers", "sentencepiece", "jinja2"}
    assert not heavy & loaded_by(code)


def test_importing_gnomon_loads_no_engine() -> None:
    assert not {"numpy", "msgspec"} & loaded_by("import gnomon")


def test_asyncio_waits_for_the_first_asynchronous_name() -> None:
    assert "asyncio" not in loaded_by("import gnomon; gnomon.Chat('hi')")


LM_STUDIO = """
    ActResult AnyAsyncDownloadedModel AssistantResponse AsyncClient AsyncDownloadedEmbeddingModel
    AsyncDownloadedLlm AsyncEmbeddingModel AsyncLLM AsyncPredictionStream BaseModel Chat
    ChatHistoryData Client DownloadedLlm FileHandle LLM LMStudioCancelledError
    LMStudioChannelClosedError LMStudioClientError LMStudioError LMStudioModelNotFoundError
    LMStudioOSError LMStudioPredictionError LMStudioPresetNotFoundError LMStudioRuntimeError
    LMStudioServerError LMStudioTimeoutError LMStudioUnknownMessageWarning LMStudioValueError
    LMStudioWebsocketError LlmInfo LlmInstanceInfo LlmLoadModelConfig LlmPredictionConfig
    LlmPredictionFragment LlmPredictionStats ModelSchema PredictionResult PredictionRoundResult
    PredictionStream SystemPrompt TextData ToolCallRequest ToolCallResultData ToolFunctionDef
    ToolResultMessage UserMessage ValidationError configure_default_client get_default_client
    get_sync_api_timeout list_downloaded_models list_loaded_models llm prepare_image
    set_sync_api_timeout
"""


@pytest.mark.parametrize("name", LM_STUDIO.split())
def test_a_name_of_lm_studio_s_sdk_is_there(name: str) -> None:
    assert name in gnomon.__all__
