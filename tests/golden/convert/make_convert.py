"""Goldens of the converter: what llama.cpp's convert_hf_to_gguf.py makes of the same checkpoints.

    python make_convert.py LLAMA_CPP [all-MiniLM-L6-v2]        (needs torch, transformers, gguf)

Writes converted.json: for each checkpoint and type every tensor's type, shape and sha256, and the
metadata without `general.*`; arrays as sha256 of their JSON. Byte-level vocabularies of the tiny
checkpoints are unknown to llama.cpp, so their `tokenizer.ggml.pre` is set, and decoders are
compared by tensors alone.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
from checkpoint import CONFIGS, write

HERE = Path(__file__).parent
PATCH = """
import sys, runpy
root, sys.argv = sys.argv[1], ["convert_hf_to_gguf.py", *sys.argv[2:]]
sys.path[:0] = [root, root + "/gguf-py"]
from conversion.base import TextModel
own = TextModel.get_vocab_base_pre
names = {"BERT": "jina-v2-en"}
def known(self, tokenizer):
    name = self.model_arch.name
    return names.get(name, "gpt-2") if len(tokenizer.vocab) <= 300 else own(self, tokenizer)
TextModel.get_vocab_base_pre = known
import transformers
def load(folder, **options):
    path = str(folder) + "/tokenizer.json"
    return transformers.PreTrainedTokenizerFast(tokenizer_file=path)
transformers.AutoTokenizer.from_pretrained = load
from conversion import gemma
for name in dir(gemma):
    if name.startswith("Gemma"):
        getattr(gemma, name).set_vocab = TextModel._set_vocab_gpt2
runpy.run_path(root + "/convert_hf_to_gguf.py", run_name="__main__")
"""


def described(path: Path, tensors_alone: bool) -> dict[str, Any]:
    """What a GGUF file holds, short enough to keep."""
    reader = gguf.GGUFReader(path)
    tensors = {
        t.name: [
            t.tensor_type.name,
            t.shape.tolist()[::-1],
            hashlib.sha256(t.data.tobytes()).hexdigest(),
        ]
        for t in reader.tensors
    }
    if tensors_alone:
        return {"tensors": tensors}
    metadata = {}
    for key, value in reader.fields.items():
        if not key.startswith(("general.", "GGUF.")):
            content = value.contents()
            text = json.dumps(content).encode()
            metadata[key] = (
                hashlib.sha256(text).hexdigest() if isinstance(content, list) else content
            )
    return {"tensors": tensors, "metadata": metadata}


def main() -> None:
    llama_cpp, real = sys.argv[1], sys.argv[2:]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folders = {family: Path(place) / family for family in CONFIGS}
        for family, folder in folders.items():
            write(folder, family)
        if real:
            folders["all-minilm-l6-v2"] = Path(real[0])
        for name, folder in folders.items():
            for kind in (
                ("f32",) if name in ("all-minilm-l6-v2",) else ("f32", "f16", "bf16", "q8_0")
            ):
                out = Path(place) / f"{name}.gguf"
                options = ["--outtype", kind, "--outfile", str(out)]
                command = [sys.executable, "-c", PATCH, llama_cpp, str(folder), *options]
                subprocess.run(command, check=True, capture_output=True)
                found.setdefault(name, {})[kind] = described(
                    out, name not in ("bert", "all-minilm-l6-v2")
                )
    (HERE / "converted.json").write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
