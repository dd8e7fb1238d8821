"""What a Hugging Face folder says: its configuration, filled up, and its tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...formats.errors import SafetensorsError
from ...formats.safetensors import SafeTensor, open_safetensors
from ..archs.checkpoints import CHECKPOINTS, Checkpoint
from ..errors import ModelLoadError

INDEX = "model.safetensors.index.json"
MOST_LAYERS = 1 << 16
MOST_F32 = 3.4e38


def read_json(path: Path, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """The object or list in a file. Raises ModelLoadError that names the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, kind):
        expected = "an object" if kind is dict else "a list"
        raise ModelLoadError(f"{path}: found {type(found).__name__}, expected {expected}")
    return found


def read_config(folder: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """The folder's family, and its configuration with what it leaves unsaid."""
    config = read_json(folder / "config.json")
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    family = CHECKPOINTS.get(first) if isinstance(first, str) else None
    if family is None:
        raise ModelLoadError(
            f"config.json: architecture {first!r}, expected one of {', '.join(CHECKPOINTS)}"
        )
    if config.get("quantization_config"):
        raise ModelLoadError(
            f"config.json: quantization_config {config['quantization_config']!r}, "
            "expected weights that are not quantized"
        )
    if isinstance(inner := config.get("text_config"), dict):
        config |= inner
    config |= {
        key: _default(config, key, value)
        for key, value in family.defaults.items()
        if config.get(key) is None
    }
    _check(family, config)
    return family, config


def _default(config: dict[str, Any], key: str, value: Any) -> Any:
    if key == "head_dim" and isinstance(value, str):
        return positive(config, "hidden_size") // positive(config, "num_attention_heads")
    return config.get(value) if isinstance(value, str) else value


def _check(family: Checkpoint, config: dict[str, Any]) -> None:
    """What the arithmetic of the family cannot do."""
    act = config.get("hidden_activation") or config.get("hidden_act") or family.activations[0]
    if act not in family.activations:
        expected = " or ".join(family.activations)
        raise ModelLoadError(f"config.json: activation {act!r}, expected {expected}")
    if positive(config, "num_hidden_layers") > MOST_LAYERS:
        raise ModelLoadError(
            f"config.json: num_hidden_layers {config['num_hidden_layers']}, "
            f"expected up to {MOST_LAYERS}"
        )


def positive(config: dict[str, Any], key: str) -> int:
    """A size that the configuration must say."""
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise ModelLoadError(f"config.json: {key} {value!r}, expected a whole number above 0")
    return value


def read_tensors(folder: Path) -> dict[str, SafeTensor]:
    """All tensors of a folder, by name in each file; of several files the index says which."""
    index = folder / INDEX
    places = _places(index) if index.is_file() else {}
    names = sorted(set(places.values()) or (p.name for p in folder.glob("model*.safetensors")))
    if not names:
        raise SafetensorsError("no model.safetensors, nor parts of it, in the folder")
    found: dict[str, SafeTensor] = {}
    for name in names:
        try:
            found |= sorted(open_safetensors(folder / name).items())
        except OSError as error:
            why = f", which {INDEX} names," if places else ""
            raise SafetensorsError(f"{name}{why} cannot be read: {error}") from error
    for tensor, name in places.items():
        if tensor not in found:
            raise SafetensorsError(f"{name}: no tensor {tensor}, which {INDEX} places there")
    return found


def _places(index: Path) -> dict[str, str]:
    """Tensor -> file of the folder."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise SafetensorsError(f"{INDEX}: weight_map {type(places).__name__}, expected an object")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise SafetensorsError(f"{INDEX}: {name!r}, expected a file of the folder")
    return places
