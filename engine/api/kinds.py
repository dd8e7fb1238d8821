"""Kinds of model: does a file hold a language model or an embedding model?

An embedding model's file says how its rows are pooled, or its architecture gives rows only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from ...formats.errors import GGUFError
from ...formats.gguf import open_gguf
from ...formats.vocabularies import OF_ENCODERS

Kind: TypeAlias = Literal["llm", "embedding"]


def kind_of(metadata: Mapping[str, object]) -> Kind:
    """The kind of a model, from its file's metadata."""
    architecture = metadata.get("general.architecture")
    if f"{architecture}.pooling_type" in metadata:
        return "embedding"
    causal = metadata.get(f"{architecture}.attention.causal", True)
    if causal and metadata.get("tokenizer.ggml.model") not in OF_ENCODERS:
        return "llm"  # without a look at the architectures, which would load the engine
    from ..archs import ARCHS

    arch = ARCHS.get(str(architecture))
    return "embedding" if arch is not None and arch.embeds else "llm"


def kind_of_file(path: Path) -> Kind:
    """The same for a file; one that cannot be read counts as a language model."""
    try:
        stat = path.stat()
        return _kind_of_file(path, stat.st_mtime_ns, stat.st_size)
    except (GGUFError, OSError):
        return "llm"


@lru_cache(1024)
def _kind_of_file(path: Path, changed: int, size: int) -> Kind:
    with open_gguf(path) as file:
        return kind_of(file.metadata)
