"""Goldens of the converter: what llama.cpp's convert_hf_to_gguf.py makes of the same checkpoints.

    python make_convert.py LLAMA_CPP [all-MiniLM-L6-v2]        (needs torch, transformers, gguf)

Writes converted.json: for each checkpoint and type every tensor's type, shape and digest in the
file's order, and the metadata but for names and descriptions (`general.*`); lists as digests of
their JSON. llama.cpp tells byte-level vocabularies by what they make of a text, which it cannot do
with tiny ones, so their `tokenizer.ggml.pre` is given. factors.json: its table of rotary factors
for models that exist. logits.npz: what transformers computes from each decoder's checkpoint, and
from the reranker's, in float64; llama.cpp's script leaves out the layer in front of its classifier.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
from checkpoint import CONFIGS, write

HERE = Path(__file__).parent
PRE = {"bert": "jina-v2-en", "llama3": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}
KINDS = ("f32", "f16", "bf16", "q8_0")
SAID = ("general.type", "general.file_type", "general.quantization_version", "general.sampling.")
SKIPPED = ("GGUF.", "general.")
PATCH = """
import os, sys, runpy
root, sys.argv = sys.argv[1], ["convert_hf_to_gguf.py", *sys.argv[2:]]
sys.path[:0] = [root, root + "/gguf-py"]
from conversion.base import TextModel
own = TextModel.get_vocab_base_pre
TextModel.get_vocab_base_pre = lambda self, tokenizer: os.environ["PRE"] or own(self, tokenizer)
import transformers
def load(folder, **options):
    path = str(folder) + "/tokenizer.json"
    return transformers.PreTrainedTokenizerFast(tokenizer_file=path)
transformers.AutoTokenizer.from_pretrained = load
runpy.run_path(root + "/convert_hf_to_gguf.py", run_name="__main__")
"""
# Models that exist: base, dimensions of a head, factor (8, 70 and 405 B; 1 B; 3 B).
LLAMA_3 = {"llama-3.1": (128, 8.0), "llama-3.2-1b": (64, 32.0), "llama-3.2-3b": (128, 32.0)}
TOKENS = [1, 7, 280, 9, 33, 291, 5, 5, 270, 12, 200, 31, 289, 3, 8, 150, 44, 61, 2, 99, 282, 17]
ROWS = [3, 12, 21]


def digest(data: bytes) -> str:
    """Enough of a SHA-256 to tell files apart."""
    return hashlib.sha256(data).hexdigest()[:20]


def described(path: Path) -> dict[str, Any]:
    """What a GGUF file holds, short enough to keep."""
    reader = gguf.GGUFReader(path)
    tensors = [
        [t.name, t.tensor_type.name, t.shape.tolist()[::-1], digest(t.data.tobytes())]
        for t in reader.tensors
    ]
    metadata = {}
    for key, field in reader.fields.items():
        if key.startswith(SKIPPED) and not key.startswith(SAID):
            continue
        value = field.contents()
        if key == "tokenizer.chat_templates":  # in no order of their own
            value = sorted(value)
        metadata[key] = digest(json.dumps(value).encode()) if isinstance(value, list) else value
    return {"tensors": tensors, "metadata": metadata}


def converted(llama_cpp: str, name: str, folder: Path, out: Path, kind: str) -> dict[str, Any]:
    """What the script makes of a folder."""
    options = ["--outtype", kind, "--outfile", str(out)]
    command = [sys.executable, "-c", PATCH, llama_cpp, str(folder), *options]
    known = "" if name not in CONFIGS else PRE.get(name, "gpt-2")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PRE": known})
    if done.returncode:
        raise RuntimeError(f"{name} {kind}: {done.stderr[-3000:]}")
    return described(out)


def logits(folder: Path) -> np.ndarray:
    """float64[rows, vocabulary], of a checkpoint that transformers finds whole."""
    import torch
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, output_loading_info=True, attn_implementation="eager"
    )
    if report["missing_keys"] or report["unexpected_keys"]:
        raise RuntimeError(f"{folder.name}: {report}")
    with torch.inference_mode():
        return model(torch.tensor([TOKENS])).logits[0, ROWS].double().numpy()


def score(folder: Path) -> np.ndarray:
    """float64[1, 1], of "a b" and "c" between special tokens, all of one kind."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64)
    with torch.inference_mode():
        return model(torch.tensor([[2, 5, 6, 3, 7, 3]])).logits.numpy()


def factors(llama_cpp: str) -> dict[str, list[float]]:
    """The script's own function on models that exist."""
    sys.path[:0] = [llama_cpp, llama_cpp + "/gguf-py"]
    from conversion.llama import LlamaModel

    found = {}
    for name, (dim, factor) in LLAMA_3.items():
        rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": factor}
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
        rope |= {"original_max_position_embeddings": 8192}
        model = SimpleNamespace(rope_parameters=rope, hparams={"head_dim": dim})
        model.format_tensor_name = str
        ((_, table),) = LlamaModel.generate_extra_tensors(model)
        found[name] = table.tolist()
    return found


def main() -> None:
    llama_cpp, real = sys.argv[1], sys.argv[2:]
    found: dict[str, Any] = {}
    rows = {"tokens": np.array(TOKENS), "rows": np.array(ROWS)}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out.gguf"
        for name in CONFIGS:
            folder = Path(place) / name
            write(folder, name)
            if name == "bert-rank":
                rows[name] = score(folder)
                continue
            found[name] = {kind: converted(llama_cpp, name, folder, out, kind) for kind in KINDS}
            if name not in ("bert", "gemma3-images"):
                rows[name] = logits(folder)
        for folder in map(Path, real):
            found[folder.name] = {"f32": converted(llama_cpp, "", folder, out, "f32")}
    if "all-MiniLM-L6-v2" not in found:  # not at hand: what was
        before = json.loads((HERE / "converted.json").read_text())
        found["all-MiniLM-L6-v2"] = before["all-MiniLM-L6-v2"]
    lines = json.dumps(found, separators=(",", ":")).replace('],["', '],\n["')
    (HERE / "converted.json").write_text(lines.replace('"tensors":[[', '"tensors":[\n[') + "\n")
    (HERE / "factors.json").write_text(json.dumps(factors(llama_cpp)) + "\n")
    np.savez_compressed(HERE / "logits.npz", **rows)


if __name__ == "__main__":
    main()
