"""The tensors of a model by their GGUF names: one table says which there are and of what shape.

`blk.0.attn_q.weight` becomes `weights.blk[0].attn_q`, its bias `attn_q_bias`; a tensor that is
optional and absent is None. What is missing or of another shape is reported all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..formats.errors import GGUFError
from ..formats.gguf import GGUFFile, TensorInfo
from ..kernels.ops import Ops
from .arch import Arch
from .hparams import HParams, LayerSpec
from .tables import Shape, ShapeOf, Turns, Wanted, layer_table, nextn_table, top_table

__all__ = ["Wanted", "Weights", "load_weights", "model_table"]
Layers = tuple[LayerSpec, ...]
# Tensors that one message names.
SHOWN = 32


@dataclass
class Weights:
    """Loaded tensors; `blk` has one namespace per layer, `top` is the rest.

    `notes` lists what the file has and nobody reads.
    """

    token_embd: TensorInfo
    top: SimpleNamespace
    blk: list[SimpleNamespace]
    notes: list[str] = field(default_factory=list)
    # Of the stack that reads a source.
    source: Weights | None = None

    def rope_factors(self) -> dict[str, Any]:
        """The file's tables of rotary factors, by name. Raises GGUFError if one has a zero."""
        names = ("rope_freqs", "rope_factors_long", "rope_factors_short")
        found = {name: getattr(self.top, name, None) for name in names}
        factors = {name: np.asarray(x, np.float64) for name, x in found.items() if x is not None}
        for name, numbers in factors.items():
            if not (np.isfinite(numbers) & (numbers != 0)).all():
                raise GGUFError(name, None, "zero or no number", "numbers to divide by")
        return factors


def model_table(file: GGUFFile, arch: Arch, hparams: HParams) -> list[Wanted]:
    """Every tensor of the model, in the file's full names."""
    table = top_table(arch, hparams)
    for i, layer in _blocks(hparams).items():
        here = layer_table(arch, hparams, layer, _shapes(file, f"{arch.blocks}.{i}"))
        table += [replace(w, name=f"{arch.blocks}.{i}.{w.name}") for w in here]
    if arch.source and hparams.source:
        table += model_table(file, arch.source, hparams.source)
    return table


def _blocks(hparams: HParams) -> dict[int, LayerSpec]:
    """The file's blocks, each once: some models run them several times."""
    return dict(zip(hparams.flow.order, hparams.layers, strict=True))


def _shapes(file: GGUFFile, layer: str) -> ShapeOf:
    def shape_of(name: str) -> Shape | None:
        found = find(file, f"{layer}.{name}")
        return None if found is None else found.shape

    return shape_of


def check_tensors(file: GGUFFile, table: list[Wanted]) -> list[str]:
    """Raise one GGUFError for all that is missing or misshaped; return notes on what is unused."""
    wrong = []
    for want in table:
        found = find(file, want.name)
        if found is None and not want.optional:
            wrong.append(f"{want.name} is missing")
        elif found is not None and not _fits(found.shape, want):
            wrong.append(f"{want.name} has shape {found.shape}, expected {want.shape}")
    if wrong:
        more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        listed = "; ".join(wrong[:SHOWN] + more)
        raise GGUFError("tensors", None, listed, "those of the architecture")
    named = {want.name for want in table}
    unused = sorted(n for n in file.tensors if n not in named and f"{n}.weight" not in named)
    return (
        [f"unused tensors: {', '.join(unused[:8])}{' ...' * (len(unused) > 8)}"] if unused else []
    )


def load_weights(
    file: GGUFFile, arch: Arch, hparams: HParams, ops: Ops, ahead: Layers = ()
) -> Weights:
    """Check all tensors, then load them in the form `ops` computes with.

    Those of the layers `ahead` are checked too; `load_nextn` loads them.
    """
    table = model_table(file, arch, hparams) + nextn_tensors(file, arch, hparams, ahead)
    notes = check_tensors(file, table)
    embedding = file.tensors["token_embd.weight"]
    loaded = {}
    for i, layer in _blocks(hparams).items():
        table = layer_table(arch, hparams, layer, _shapes(file, f"{arch.blocks}.{i}"))
        loaded[i] = _namespace(file, f"{arch.blocks}.{i}.", table, ops)
    blk = [loaded[i] for i in hparams.flow.order]
    wanted = [w for w in top_table(arch, hparams) if w.name != "token_embd.weight"]
    top = _namespace(file, "", wanted, ops)
    if not arch.embeds and top.output is None:
        top.output = ops.matrix(embedding)
    weights = Weights(embedding, top, blk, notes)
    if arch.source and hparams.source:
        weights.source = load_weights(file, arch.source, hparams.source, ops)
    return weights


def nextn_tensors(file: GGUFFile, arch: Arch, hparams: HParams, ahead: Layers) -> list[Wanted]:
    """The tensors of the layers `ahead`, behind those of `hparams`, in the file's full names."""
    tables = _nextn_tables(file, arch, hparams, ahead)
    return [replace(w, name=front + w.name) for front, table in tables.items() for w in table]


def load_nextn(
    file: GGUFFile, arch: Arch, hparams: HParams, ahead: Layers, weights: Weights, ops: Ops
) -> list[Weights]:
    """The layers `ahead`, each as a model of one layer: what it has not is that of `weights`."""
    loaded = []
    for front, table in _nextn_tables(file, arch, hparams, ahead).items():
        layer = _namespace(file, front, table, ops)
        norm = layer.nextn_shared_head_norm
        norm = layer.layer_output_norm if norm is None else norm
        own = {"output_norm": norm, "output": layer.nextn_shared_head_head}
        given = {name: tensor for name, tensor in own.items() if tensor is not None}
        top = SimpleNamespace(**{**vars(weights.top), **given})
        loaded.append(Weights(layer.nextn_embed_tokens or weights.token_embd, top, [layer]))
    return loaded


def _nextn_tables(
    file: GGUFFile, arch: Arch, hparams: HParams, ahead: Layers
) -> dict[str, list[Wanted]]:
    """The tables by what stands before their names."""
    fronts = [f"{arch.blocks}.{len(hparams.layers) + i}" for i in range(len(ahead))]
    return {
        f"{front}.": nextn_table(arch, hparams, layer, _shapes(file, front))
        for front, layer in zip(fronts, ahead, strict=True)
    }


def _namespace(file: GGUFFile, prefix: str, table: list[Wanted], ops: Ops) -> SimpleNamespace:
    loaded = {
        _attribute(w.alias or w.name): _load(find(file, prefix + w.name), w, ops) for w in table
    }
    return SimpleNamespace(**loaded)


def _attribute(name: str) -> str:
    return name.removesuffix(".weight").replace(".", "_")


def _in_turn(tensor: TensorInfo, turns: Turns) -> TensorInfo:
    """A tensor whose rows lie as [groups, parts, ...], with one part, or with parts first."""
    count = tensor.shape[0]
    rows = tensor.data.reshape(turns.groups, turns.parts, count // turns.groups // turns.parts, -1)
    rows = rows.swapaxes(0, 1) if turns.part is None else rows[:, turns.part]
    kept = count if turns.part is None else count // turns.parts
    return replace(tensor, data=rows.reshape(-1), shape=(kept, *tensor.shape[1:]))


def _fits(found: Shape, want: Wanted) -> bool:
    if want.raw:
        return found[:1] >= want.shape[:1] and found[1:] == want.shape[1:]
    return _lean(found) == _lean(want.shape)


def _lean(shape: Shape) -> Shape:
    """A shape without ones in front: files may leave them out."""
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def find(file: GGUFFile, name: str) -> TensorInfo | None:
    """A tensor by its name; some files leave `.weight` out."""
    return file.tensors.get(name, file.tensors.get(name.removesuffix(".weight")))


def _load(tensor: TensorInfo | None, want: Wanted, ops: Ops) -> Any:
    if tensor is None:
        return None
    if want.raw:
        return tensor
    tensor = replace(tensor, shape=want.shape)
    if want.turns:
        tensor = _in_turn(tensor, want.turns)
    if want.turned:
        return np.ascontiguousarray(ops.vector(tensor).T)
    return ops.vector(tensor) if want.plain or len(tensor.shape) == 1 else ops.matrix(tensor)
