"""Layers that draft: the token after the next, from a row of the model and the token behind it.

    x[p] = E [norm(embed(token[p])); norm(row[p-1])]
    logits of token p + 1 = head(norm(block(x)))         (DeepSeek-AI, V3, 2024, section 2.2)

The blocks stand behind the model's last layer and are built like it, with keys of their own; norms
and head are the model's where the file has none for them. A row is the model's, after its last norm
or before as the spec says; of a token that is only guessed it is the block's own. Before the first
token it is zeros. One block drafts any number of tokens; of several each drafts one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import GGUFError
from ..formats.gguf import GGUFFile
from ..formats.metadata import Metadata
from ..kernels.ops import Ops
from .arch import Arch, Nextn
from .blocks import flows
from .blocks.block import block
from .blocks.layer import Layer
from .cache import PagePool, Sequence, layer_regions
from .forward import head
from .hparams import HParams, LayerSpec, read_nextn
from .step import Step, StepMemory
from .weights import Weights, check_tensors, load_nextn, nextn_tensors

Array = NDArray[Any]
Alone = tuple[Arch, HParams, list[Weights]]
# Carries out what is recorded under a name, on some threads: `run(name, record, threads)`.
Run = Callable[[tuple[object, ...], Callable[[], Any], int | None], Any]


def find_nextn(
    file: GGUFFile, metadata: Metadata, arch: Arch, hparams: HParams, wanted: bool | None
) -> tuple[tuple[LayerSpec, ...], list[str]]:
    """The layers ahead to load, and notes. None if not `wanted`; all that can be if it is None.

    Raises GGUFError if they are wanted and the file or the spec has none, or they are wrong.
    """
    given = metadata.get(f"{arch.name}.nextn_predict_layers", 0)
    if wanted is False or (not given and not wanted):
        return (), []
    try:
        _check_known(given, arch)
        found = read_nextn(metadata, arch)
        check_tensors(file, nextn_tensors(file, arch, hparams, found))
    except GGUFError as error:
        if wanted:
            raise
        return (), [f"layers that draft are not used: {error}"]
    return found, []


def _check_known(given: object, arch: Arch) -> None:
    wanted = "a model with layers that predict tokens ahead"
    if not given:
        raise GGUFError("multiTokenPrediction", None, "no such layers", wanted)
    if arch.nextn is Nextn.NONE:
        raise GGUFError(
            "multiTokenPrediction", None, f"those of {arch.name}", f"{wanted}, as known"
        )


def load_alone(
    file: GGUFFile,
    arch: Arch,
    hparams: HParams,
    ahead: tuple[LayerSpec, ...],
    weights: Weights,
    ops: Ops,
) -> Alone:
    """The layers ahead, whose tensors are checked, as a model of their own."""
    layers = load_nextn(file, arch, hparams, ahead, weights, ops)
    return arch, replace(hparams, layers=ahead), layers


class NextnLayers:
    """A model's layers ahead; all they do they do under its lock, `guard`."""

    def __init__(
        self,
        alone: Alone,
        types: tuple[str, str],
        memory: StepMemory,
        ops: Ops,
        carry_out: Run,
        guard: Callable[[], Any],
    ) -> None:
        """`alone` and `memory` are of a model with these layers only, `types` its cache's."""
        self._arch, self._hparams, self._weights = alone
        self.count, self.max_rows = len(self._weights), len(memory.tokens)
        self._memory, self._ops = memory, ops
        self._regions = layer_regions(self._hparams, types)
        self._pages = PagePool(self._regions[-1].end)
        self._rows = np.zeros((self.max_rows, self._hparams.embedding), ops.number)
        self._carry_out, self._guard = carry_out, guard

    def sequence(self, capacity: int) -> Sequence:
        """An empty cache for up to `capacity` positions, of all these layers."""
        return Sequence(self._pages, capacity)

    def before_first(self) -> Array:
        """The row that goes with the first token, [1, embedding]."""
        return np.zeros((1, self._rows.shape[1]), self._rows.dtype)

    def run(
        self,
        layer: int,
        sequence: Sequence,
        ids: list[int],
        rows: Array,
        wanted: bool,
        threads: int | None = None,
    ) -> tuple[Array, Array] | None:
        """Take in tokens and the rows before them, at most `max_rows`, behind what is held.

        They count once the sequence is told to `commit` them. If `wanted`, the logits behind the
        last token, [vocabulary], and its row, [embedding].
        """
        with self._guard():
            sequence.append(len(ids))
            last = np.arange(len(ids) - wanted, len(ids))[:wanted]
            step = self._memory.fill([(sequence, ids)], last)
            self._rows[: len(ids)] = rows
            key = ("nextn", layer, len(ids), wanted)
            found = self._carry_out(key, lambda: self._forward(layer, step), threads)
        return None if found is None else (found[0][0], found[1][0])

    def _forward(self, index: int, step: Step) -> tuple[Array, Array] | None:
        w, hparams, ops = self._weights[index], self._hparams, self._ops
        parts = hparams.layers[index], w.blk[0], self._regions[index], step.states[index]
        layer = Layer(self._arch, hparams, *parts, step, ops)
        token = layer.norm("nextn_enorm", ops.embed(w.token_embd, step.tokens))
        row = layer.norm("nextn_hnorm", self._rows[: len(step.tokens)])
        x = block(layer, layer.linear("nextn_eh_proj", ops.join(token, row)))
        if not len(step.outputs):
            return None
        x = ops.take(x, step.outputs)
        normed = flows.output_norm(self._arch, hparams, w.top, x, ops)
        logits = head(self._arch, hparams, w, normed, ops)
        return logits, x if self._arch.nextn is Nextn.BARE else normed
