"""Reading a source: its rows go through a stack of their own and become keys and values.

    rows = stack(source),   K, V of every layer of the answering stack = k(rows), v(rows)

All of a source is read in one step, because its rows see each other.
"""

from __future__ import annotations

import numpy as np

from ..kernels.kv_pages import Region
from ..kernels.ops import Ops
from .arch import Arch
from .blocks.across import keep
from .blocks.layer import Layer
from .cache import Sequence, layer_regions
from .forward import forward
from .hparams import HParams
from .step import Step, StepMemory
from .weights import Weights

Stack = tuple[Arch, HParams, Weights, list[Region]]


class SourceReader:
    """The stack that reads, and the one whose layers attend to what was read.

    `regions`: where the reader's own keys lie in a page, until the other's take their place.
    """

    def __init__(self, reader: Stack, answerer: Stack, memory: StepMemory, ops: Ops) -> None:
        self._reader, self._answerer = reader, answerer
        self._memory, self._ops = memory, ops
        self.regions = reader[3]

    def fill(self, sequence: Sequence, ids: list[int]) -> Step:
        """The step that reads these tokens into a sequence."""
        return self._memory.fill([(sequence, ids)], np.empty(0, np.int64))

    def read(self, step: Step) -> None:
        """Put what every layer of the answerer sees of the step's rows on their pages."""
        rows = forward(*self._reader, step, self._ops, logits=False)
        arch, hparams, weights, regions = self._answerer
        for spec, w, region in zip(hparams.layers, weights.blk, regions, strict=True):
            keep(Layer(arch, hparams, spec, w, region, {}, step, self._ops), rows)


def source_reader(
    answerer: Stack, types: tuple[str, str], longest: int, ops: Ops
) -> SourceReader | None:
    """What reads up to `longest` tokens for a model; None for one that reads no source."""
    arch, hparams, weights = answerer[0].source, answerer[1].source, answerer[2].source
    if arch is None or hparams is None or weights is None:
        return None
    regions = layer_regions(hparams, types, kept=False)
    memory = StepMemory(arch, hparams, longest, longest, ops.number)
    return SourceReader((arch, hparams, weights, regions), answerer, memory, ops)
