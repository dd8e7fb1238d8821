"""Architecture fixtures: a JSON spec and a seed give one GGUF file, byte for byte the same.

    python fixture.py llama-dense.json llama-dense.gguf

A spec lists the metadata and the tensors (name, shape fastest-first as in GGUF, type: here F32) of
a tiny model of one architecture. The weights are normal(0, 0.1) draws, PCG64(crc32(tensor name) ^
seed), float32; tensors whose name holds "ssm_a" are made negative. <name>.npz holds `tokens` (48
ids), `rows` (positions) and `logits` (float32, one row per position in `rows`): all 48 tokens
decoded as one batch by llama.cpp (the tree in llama-cpp-python 0.3.36) with float32 weights,
float32 KV cache, no flash attention, and built without its float16 GELU table, which alone costs
up to 7e-8 NMSE.
"""

import hashlib
import json
import sys
import zlib

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from gguf.quants import quantize

SEED = 7


def weights(name: str, shape: list[int], seed: int = SEED) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) ^ seed))
    values = rng.standard_normal(int(np.prod(shape)), dtype=np.float32) * np.float32(0.1)
    if "ssm_a" in name:
        values = -np.abs(values)
    return values.reshape(shape[::-1])


def digest(spec: dict, seed: int = SEED) -> str:
    """sha256 over all tensors' bytes in order; a spec states it, so that other draws show."""
    total = hashlib.sha256()
    for name, shape, _ in spec["tensors"]:
        total.update(weights(name, shape, seed).tobytes())
    return total.hexdigest()


def write(spec: dict, path: str, seed: int = SEED) -> None:
    metadata = spec["kv"]
    writer = GGUFWriter(path, metadata["general.architecture"][1])
    for key, value in metadata.items():
        if key == "general.architecture":
            continue
        if value[0] != "arr":
            writer.add_key_value(key, value[1], GGUFValueType[value[0]])
        elif value[2]:
            writer.add_key_value(key, value[2], GGUFValueType.ARRAY, GGUFValueType[value[1]])
    for name, shape, type_ in spec["tensors"]:
        kind = GGMLQuantizationType[type_]
        writer.add_tensor(name, quantize(weights(name, shape, seed), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    if digest(spec) != spec["weights_sha256"]:
        raise SystemExit(f"{spec['name']}: this NumPy draws other weights than the golden's")
    write(spec, sys.argv[2])
