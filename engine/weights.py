"""The tensors of a model by their GGUF names: one table says which there are and of what shape.

`blk.0.attn_q.weight` becomes `weights.blk[0].attn_q`, its bias `attn_q_bias`; a tensor that is optional and
absent is None. What is missing or of another shape is reported all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ..formats.errors import GGUFError
from ..formats.gguf import GGUFFile, TensorInfo
from ..kernels.ops import Ops
from .arch import Arch, Placement, QKNorm
from .hparams import HParams, LayerSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Wanted:
    """A tensor that a spec names: its shape (slowest first), and whether it may be absent."""

    name: str
    shape: Shape
    optional: bool = False


@dataclass
class Weights:
    """Loaded tensors; `blk` has one namespace per layer. `notes` lists what the file has and nobody reads."""

    token_embd: TensorInfo
    output: Any
    output_norm: Any
    blk: list[SimpleNamespace]
    notes: list[str] = field(default_factory=list)


def layer_table(arch: Arch, hparams: HParams, layer: LayerSpec) -> list[Wanted]:
    """The tensors of one layer, without `blk.N.`."""
    dim, ff = hparams.embedding, layer.feed_forward
    q, k = layer.heads * layer.key_dim, layer.kv_heads * layer.key_dim
    v, out = layer.kv_heads * layer.value_dim, layer.heads * layer.value_dim
    table = [
        Wanted("attn_norm.weight", (dim,)),
        Wanted("ffn_norm.weight", (dim,)),
        *_linear("attn_q", q, dim),
        *_linear("attn_k", k, dim),
        *_linear("attn_v", v, dim),
        *_linear("attn_output", dim, out),
        *_linear("ffn_gate", ff, dim),
        *_linear("ffn_up", ff, dim),
        *_linear("ffn_down", dim, ff),
    ]
    if arch.qk_norm is QKNorm.PER_HEAD:
        table += [Wanted(f"attn_{x}_norm.weight", (layer.key_dim,)) for x in "qk"]
    if arch.placement is Placement.SANDWICH:
        table += [Wanted(f"post_{x}_norm.weight", (dim,)) for x in ("attention", "ffw")]
    return table


def _linear(name: str, rows: int, columns: int) -> list[Wanted]:
    return [Wanted(f"{name}.weight", (rows, columns)), Wanted(f"{name}.bias", (rows,), True)]


def model_table(arch: Arch, hparams: HParams) -> list[Wanted]:
    """Every tensor of the model, in full names."""
    dim, vocabulary = hparams.embedding, hparams.vocabulary
    table = [
        Wanted("token_embd.weight", (vocabulary, dim)),
        Wanted("output_norm.weight", (dim,)),
        Wanted("output.weight", (vocabulary, dim), True),
    ]
    for i, layer in enumerate(hparams.layers):
        table += [
            Wanted(f"blk.{i}.{w.name}", w.shape, w.optional)
            for w in layer_table(arch, hparams, layer)
        ]
    return table


def check_tensors(file: GGUFFile, table: list[Wanted]) -> list[str]:
    """Raise one GGUFError for all that is missing or misshaped; return notes on what is unused."""
    wrong = []
    for want in table:
        found = file.tensors.get(want.name)
        if found is None and not want.optional:
            wrong.append(f"{want.name} is missing")
        elif found is not None and found.shape != want.shape:
            wrong.append(f"{want.name} has shape {found.shape}, expected {want.shape}")
    if wrong:
        raise GGUFError("tensors", None, "; ".join(wrong), "those of the architecture")
    unused = sorted(set(file.tensors) - {want.name for want in table})
    return (
        [f"unused tensors: {', '.join(unused[:8])}{' ...' * (len(unused) > 8)}"] if unused else []
    )


def load_weights(file: GGUFFile, arch: Arch, hparams: HParams, ops: Ops) -> Weights:
    """Check all tensors, then load them in the form `ops` computes with."""
    notes = check_tensors(file, model_table(arch, hparams))
    get = file.tensors.__getitem__
    blk = []
    for i, layer in enumerate(hparams.layers):
        names = [want.name for want in layer_table(arch, hparams, layer)]
        loaded = {_attribute(n): _load(file.tensors.get(f"blk.{i}.{n}"), ops) for n in names}
        blk.append(SimpleNamespace(**loaded))
    embedding = get("token_embd.weight")
    output = ops.matrix(file.tensors.get("output.weight", embedding))
    return Weights(embedding, output, ops.vector(get("output_norm.weight")), blk, notes)


def _attribute(name: str) -> str:
    return name.removesuffix(".weight").replace(".", "_")


def _load(tensor: TensorInfo | None, ops: Ops) -> Any:
    if tensor is None:
        return None
    return ops.vector(tensor) if len(tensor.shape) == 1 else ops.matrix(tensor)
