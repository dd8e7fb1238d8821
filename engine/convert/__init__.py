"""Convert a Hugging Face folder (safetensors, config.json, tokenizer files) to a GGUF file, tensor
by tensor.

    convert(Path("all-MiniLM-L6-v2"), Path("all-minilm.gguf"), "q8_0")

Names and numbers come from `archs/checkpoints.py`. The file appears under its name once it is
whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...formats.errors import SafetensorsError, TokenizerError
from ..errors import LMStudioValueError, ModelLoadError
from .encode import encoded, encoded_bytes
from .folder import read_config, read_tensors
from .metadata import entries
from .plan import FILE_TYPES, Plan, plan_tensors

__all__ = ["FILE_TYPES", "convert"]

Report = Callable[[float], Any]


def convert(
    folder: Path, target: Path, file_type: str = "f16", name: str = "", report: Report | None = None
) -> None:
    """Write `target`, telling the share done. Raises ModelLoadError, LMStudioValueError."""
    if file_type not in FILE_TYPES:
        raise LMStudioValueError(
            f"file type {file_type!r}, expected one of {', '.join(FILE_TYPES)}"
        )
    try:
        _convert(folder, target, file_type, name or folder.name, report or (lambda share: None))
    except (SafetensorsError, TokenizerError) as error:
        raise ModelLoadError(f"{folder.name} cannot be converted: {error}") from error


def _convert(folder: Path, target: Path, file_type: str, name: str, report: Report) -> None:
    from gguf import GGMLQuantizationType, GGUFWriter

    family, config = read_config(folder)
    plans = plan_tensors(family, config, read_tensors(folder), file_type)
    unfinished = target.with_name(f".{target.name}.unfinished")
    writer = GGUFWriter(unfinished, family.arch)
    try:
        for key, kind, value in entries(folder, family, config, file_type, name):
            _add(writer, key, kind, value)
        for plan in plans:
            type_ = GGMLQuantizationType[plan.type.upper()]
            shape, number = plan.source.shape, np.dtype(np.float32)
            writer.add_tensor_info(plan.name, shape, number, encoded_bytes(plan), type_)
        _write(writer, plans, report)
        os.replace(unfinished, target)
    finally:
        writer.close()
        unfinished.unlink(missing_ok=True)


def _write(writer: Any, plans: list[Plan], report: Report) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    total, done = sum(map(encoded_bytes, plans)), 0
    for plan in plans:
        writer.write_tensor_data(encoded(plan))
        done += encoded_bytes(plan)
        report(done / total)
    writer.close()


def _add(writer: Any, key: str, kind: str, value: Any) -> None:
    from gguf import GGUFValueType

    names = {"u32": "UINT32", "f32": "FLOAT32", "bool": "BOOL", "str": "STRING", "i32": "INT32"}
    if kind.startswith("["):
        inner = GGUFValueType[names[kind.strip("[]")]]
        writer.add_key_value(key, value, GGUFValueType.ARRAY, inner)
    else:
        writer.add_key_value(key, value, GGUFValueType[names[kind]])
