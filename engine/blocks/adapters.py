"""Adapters in the file (Granite Switch, 2026): tokens of the text choose low-rank additions.

    y = W x + B[slot] A[slot] x        for a layer's matrices, slot 0 where nothing was chosen
    slot = round(sum of slots chosen / (their count + exp(-2 gain) * other tokens)), up to the row

That is one head of attention whose scores are +-gain. A row keeps the two sums up to its token, so
that a row needs only the one before. Its mean is a float32: a half between two slots goes up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...formats.errors import MetadataError
from ...kernels.compressed_attention import load_rows, store_rows
from ...kernels.kv_pages import Region, region_after
from ...kernels.ops import Ops
from ..keys import Keys
from .layer import ADAPTER, Layer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
MOST = 4096
GAIN = 15.0


@dataclass(frozen=True)
class Adapters:
    """`tokens[i]` chooses slot i + 1 and is embedded as `substitutes[i]`; `rank` of the additions.

    Of a token that is there twice the last counts.
    """

    rank: int
    gain: float
    tokens: tuple[int, ...]
    substitutes: tuple[int, ...]

    @staticmethod
    def read(keys: Keys, vocabulary: int) -> Adapters:
        """From `adapters.*`. Raises MetadataError that names the key."""
        count = keys.integer("adapters.count", 0, MOST)
        lists = {}
        for part in ("activate", "substitute"):
            key = f"adapters.token_ids_{part}"
            lists[part] = found = keys.integers(key, count)
            if len(found) != count or not all(0 <= id_ < vocabulary for id_ in found):
                wanted = f"{count} ids from 0 to {vocabulary - 1}, one per adapter"
                raise MetadataError(f"{keys.prefix}.{key}", None, str(found[:8]), wanted)
        return Adapters(
            rank=keys.integer("adapters.lora_rank", 1, MOST),
            gain=keys.number("adapters.router_gain", GAIN, positive=True),
            tokens=lists["activate"],
            substitutes=lists["substitute"],
        )

    @property
    def slots(self) -> int:
        """How many additions each matrix has."""
        return len(self.tokens) + 1

    @staticmethod
    def region(start: int) -> Region:
        """Where the two sums of every position lie."""
        return region_after(start, 1, (2, 0), ("f64", "f64"))

    def embedded(self, tokens: I64, ops: Ops) -> I64:
        """The ids that stand for a step's tokens, filled in at every run of the step."""
        ids = np.zeros_like(tokens)
        instead = dict(zip(self.tokens, self.substitutes, strict=True))

        def fill() -> I64:
            ids[:] = [instead.get(id_, id_) for id_ in tokens.tolist()]
            return ids

        ops.twin(fill, ids.shape)
        return ids

    def choose(self, first: Layer) -> None:
        """Hand each row's slot [rows, 1] on to all layers."""
        step, region = first.step, first.region.index
        if region is None:
            raise ValueError("region: found none, expected the place of the adapters' sums")
        spans = step.spans[first.spec.window].rows
        slot_of = {token: slot for slot, token in enumerate(self.tokens, 1)}

        def follow() -> F64:
            chosen = np.zeros((len(step.tokens), 1))
            for row, (token, at_) in enumerate(zip(step.tokens, step.positions, strict=True)):
                sums, table = np.zeros(2), spans[row : row + 1, 0]
                if at_:
                    sums = load_rows(region, int(table[0]), int(at_) - 1, int(at_) - 1)[0]
                slot = slot_of.get(int(token), 0)
                sums += (slot, slot > 0)
                store_rows(region, sums[None], table, step.positions[row : row + 1])
                chosen[row] = self.slot(sums[0], sums[1], int(at_) + 1)
            return chosen

        first.passed_on[ADAPTER] = first.ops.twin(follow, (len(step.tokens), 1))

    def slot(self, total: float, count: float, seen: int) -> int:
        """The slot of a row that sees `seen` tokens, `count` of which choose slots that sum up to
        `total`.
        """
        if not count:
            return 0
        others = (seen - count) * math.exp(-2 * self.gain)
        mean = np.float32(total) / np.float32(count + others)
        return min(math.floor(float(mean) + 0.5), len(self.tokens))
