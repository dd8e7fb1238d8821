"""Make a draft model: a model without its last layers.

    python -m benchmarks.make_draft model.gguf draft.gguf --layers 10

Everything else is copied byte for byte, so the draft has the same vocabulary. How often its drafts
stand depends on how much the layers left out would have changed: try a few numbers.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, ReaderTensor

LAYER = re.compile(r"blk\.(\d+)\.")


def make_draft(source: Path, target: Path, layers: int) -> None:
    """Write `target`: the model `source` with its first `layers` layers."""
    reader = GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    count_key = f"{architecture}.block_count"
    count = int(reader.fields[count_key].contents())
    if not 1 <= layers < count:
        raise SystemExit(f"--layers: found {layers}, expected 1 to {count - 1}")
    writer = GGUFWriter(target, architecture)
    copy_metadata(reader, writer, {count_key: layers})
    for tensor in reader.tensors:
        layer = LAYER.match(tensor.name)
        if layer is None or int(layer[1]) < layers:
            copy_tensor(tensor, writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def copy_metadata(reader: GGUFReader, writer: GGUFWriter, changed: dict[str, int]) -> None:
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind, *inner = field.types
        value = changed.get(name, field.contents())
        if kind != GGUFValueType.ARRAY:
            writer.add_key_value(name, value, kind)
        elif value:
            writer.add_key_value(name, value, kind, inner[-1])


def copy_tensor(tensor: ReaderTensor, writer: GGUFWriter) -> None:
    plain = tensor.tensor_type in (GGMLQuantizationType.F32, GGMLQuantizationType.F16)
    raw = None if plain else tensor.tensor_type
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=raw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--layers", type=int, required=True)
    given = parser.parse_args()
    make_draft(given.source, given.target, given.layers)


if __name__ == "__main__":
    main()
