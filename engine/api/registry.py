"""Registry: which models are loaded under which identifiers, and how a key becomes one of them.

`get` returns a loaded model that fits (a config given must be the one it was loaded with), else
loads one: the file is found or fetched, the identifier is the key, then `key:2`, `key:3`...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from ...formats.errors import GGUFError, TemplateError, TokenizerError
from ..errors import (
    LMStudioError,
    LMStudioModelNotFoundError,
    LMStudioServerError,
    ModelLoadError,
)
from ..load_config import LoadConfig
from .catalogue import DEFAULT_EMBEDDING_MODEL, DEFAULT_MODEL
from .config import LlmLoadModelConfig, engine_load_config
from .fetch import fetch
from .folder import Found, find, models_folder, relative
from .instance import Instance
from .kinds import Kind, kind_of
from .options import call_back
from .progress import Progress
from .results import EmbeddingModelInfo, LlmInfo, ModelInfo

if TYPE_CHECKING:
    from ..model import Model

LOAD_ERRORS = (GGUFError, TokenizerError, TemplateError, OSError, ValueError)
LoadProgress = Callable[[float], Any]
DEFAULTS: dict[Kind, str] = {"llm": DEFAULT_MODEL, "embedding": DEFAULT_EMBEDDING_MODEL}
NAMES: dict[Kind, str] = {"llm": "a language model", "embedding": "an embedding model"}
VERBS: dict[Kind, str] = {"llm": "llm()", "embedding": "embedding_model()"}


Check = Callable[[Mapping[str, object]], None]


def open_model(path: Path, config: LoadConfig, check: Check = lambda metadata: None) -> Model:
    """Open a model file, unless `check` refuses its metadata; what can go wrong with it comes as
    `ModelLoadError`.
    """
    try:
        from ..model import Model  # chooses the instruction set, GNOMON_ISA is read

        return Model.open(path, config, check)
    except LMStudioError:
        raise
    except LOAD_ERRORS as error:
        raise ModelLoadError(f"cannot load {path}: {error}") from error


def model_info(
    found: Found, metadata: Mapping[str, object], size_bytes: int, kind: Kind = "llm"
) -> ModelInfo:
    """Facts about a model file, from its metadata."""
    architecture = metadata.get("general.architecture")
    trained = metadata.get(f"{architecture}.context_length")
    facts: dict[str, Any] = {
        "model_key": found.key,
        "format": "gguf",
        "display_name": str(metadata.get("general.name") or found.path.stem),
        "path": relative(found.path, models_folder()),
        "size_bytes": size_bytes,
        "max_context_length": trained if isinstance(trained, int) else 0,
        "params_string": _text(metadata.get("general.size_label")),
        "architecture": _text(architecture),
    }
    if kind == "embedding":
        return EmbeddingModelInfo(**facts)
    tools = "tools" in str(metadata.get("tokenizer.chat_template", ""))
    return LlmInfo(**facts, vision=False, trained_for_tool_use=tools)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _refuse_other_kind(found: Found, kind: Kind, metadata: Mapping[str, object]) -> None:
    actual = kind_of(metadata)
    if actual != kind:
        raise LMStudioModelNotFoundError(
            f"model {found.key!r} is {NAMES[actual]}, not {NAMES[kind]}: use {VERBS[actual]}"
        )


def present(key: str) -> Found:
    """The file that a key means, fetched if the catalogue has it and the models folder does not."""
    found = find(key, models_folder())
    if found.entry is not None and not found.path.is_file():
        fetch(found.entry, found.path, Progress())
    return found


class Registry:
    """The loaded models of this process."""

    def __init__(self, open_model: Callable[[Path, LoadConfig, Check], Model] = open_model) -> None:
        self._open_model = open_model
        self._loaded: dict[str, Instance] = {}
        self._lock = RLock()

    def loaded(self, kind: Kind | None = None) -> list[Instance]:
        """Every loaded model, or those of a kind, oldest first."""
        with self._lock:
            return [i for i in self._loaded.values() if kind in (None, i.info.type)]

    def get(
        self,
        key: str | None,
        config: LlmLoadModelConfig,
        on_progress: LoadProgress | None = None,
        kind: Kind = "llm",
    ) -> Instance:
        """Return a loaded model for `key`, or load it; no key: any loaded one, else the default."""
        with self._lock:
            instance = self._match(key, config, kind)
            if instance is None:
                return self.load(key or DEFAULTS[kind], None, config, on_progress, kind)
            call_back(on_progress, 1.0)
            return instance

    def get_any(self, key: str, config: LlmLoadModelConfig) -> Instance:
        """Return a loaded model for `key`, whatever its config, or load it with this one."""
        with self._lock:
            return self._match(key, LlmLoadModelConfig(), "llm") or self.load(key, None, config)

    def load(
        self,
        key: str,
        identifier: str | None,
        config: LlmLoadModelConfig,
        on_progress: LoadProgress | None = None,
        kind: Kind = "llm",
    ) -> Instance:
        """Load another instance; an identifier in use, or a model of another kind, is refused."""
        with self._lock:
            if identifier in self._loaded:
                raise LMStudioServerError(
                    f"Model load error: a model with identifier {identifier!r} already exists"
                )
            call_back(on_progress, 0.0)
            found = present(key)
            check = partial(_refuse_other_kind, found, kind)
            model = self._open_model(found.path, engine_load_config(config), check)
            instance = Instance(
                model,
                identifier=identifier or self._free_identifier(key),
                info=model_info(found, model.metadata, model.file.size_bytes, kind),
                path=found.path,
                config=config,
            )
            self._loaded[instance.identifier] = instance
            call_back(on_progress, 1.0)
            return instance

    def named(self, identifier: str, kind: Kind | None = None) -> Instance:
        """The loaded model of that identifier, if it is of that kind."""
        with self._lock:
            instance = self._loaded.get(identifier)
        if instance is None:
            raise LMStudioModelNotFoundError(f"no loaded model has identifier {identifier!r}")
        if kind is not None and instance.info.type != kind:
            raise LMStudioModelNotFoundError(f"model {identifier!r} is not {NAMES[kind]}")
        return instance

    def unload(self, identifier: str, kind: Kind | None = None) -> None:
        """Unload by identifier."""
        instance = self.named(identifier, kind)
        self.forget(instance)
        instance.unload()

    def forget(self, instance: Instance) -> None:
        """Take an instance off the list, if it is there."""
        with self._lock:
            if self._loaded.get(instance.identifier) is instance:
                del self._loaded[instance.identifier]

    def _match(self, key: str | None, config: LlmLoadModelConfig, kind: Kind) -> Instance | None:
        any_config = not config.to_dict()
        if any_config and key in self._loaded and self._loaded[key].info.type == kind:
            return self._loaded[key]
        path = None if key is None else self._path(key)
        wanted = engine_load_config(config)
        for instance in self.loaded(kind):
            right_config = any_config or engine_load_config(instance.config) == wanted
            if right_config and path in (None, instance.path):
                return instance
        return None

    def _path(self, key: str) -> Path:
        named = self._loaded.get(key)
        return named.path if named else find(key, models_folder()).path

    def _free_identifier(self, key: str) -> str:
        number = 1
        while (name := key if number == 1 else f"{key}:{number}") in self._loaded:
            number += 1
        return name


REGISTRY = Registry()
