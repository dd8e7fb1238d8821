"""Layer: one layer as its functions see it, and the few lines that all of them write."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ...kernels.kv_pages import Region
from ...kernels.ops import Ops
from ...kernels.recurrence import State
from ..arch import Arch, Norm
from ..hparams import HParams, LayerSpec
from ..step import Step

Array = Any
ADAPTER = "adapter"  # what layers are handed: each row's slot, [rows, 1]
TOKEN_ROWS = "token_rows"  # and each token's numbers for every layer, [rows, layers * n]


@dataclass(frozen=True)
class Layer:
    """What a layer is (`arch`, `spec`), what it holds (`w`), where it remembers, and its step."""

    arch: Arch
    hparams: HParams
    spec: LayerSpec
    w: SimpleNamespace
    region: Region
    states: dict[str, State]
    step: Step
    ops: Ops
    # What layers of one step hand on to later ones, by name.
    passed_on: dict[str, Array] = field(default_factory=dict)

    def norm(self, name: str, x: Array, epsilon: float = 0.0) -> Array:
        """x normalised by the layer's tensor of this name, or without one."""
        weight, bias = getattr(self.w, name, None), getattr(self.w, f"{name}_bias", None)
        return normed(self.ops, self.arch.norm, x, weight, bias, epsilon or self.hparams.epsilon)

    def linear(self, name: str, x: Array) -> Array:
        """x times a weight, times its scale, plus its bias, if the file has them."""
        out = self.adapted(name, x, self.ops.matmul(getattr(self.w, name), x))
        scale = getattr(self.w, f"{name}_scale", None)
        out = out if scale is None else self.ops.scale(out, float(scale.reshape(-1)[0]))
        bias = getattr(self.w, f"{name}_bias", None)
        return out if bias is None else self.ops.add(out, bias)

    def adapted(self, name: str, x: Array, out: Array) -> Array:
        """out plus B A x by the low-rank weights of each row's slot, if the file has them."""
        down, up = (getattr(self.w, f"{name}_lora_{x}", None) for x in "ab")
        if down is None:
            return out
        slots = self.passed_on[ADAPTER]
        added = self.ops.experts(up, self.ops.experts(down, x, slots), slots)
        return self.ops.add(out, added.reshape(out.shape))


def row_mean(ops: Ops, x: Array) -> Array:
    """The mean of each row of x [rows, n]: [rows, 1]."""
    rows, n = x.shape
    lanes = math.gcd(n, 64)
    sums = ops.combine(x.reshape(rows, n // lanes, lanes), None)
    return ops.scale(ops.combine(sums.reshape(rows, lanes, 1), None), 1 / n)


def normed(ops: Ops, kind: Norm, x: Array, weight: Any, bias: Any, epsilon: float) -> Array:
    """RMS or layer norm over the last axis."""
    if kind is Norm.LAYER:
        return ops.layer_norm(x, weight, bias, epsilon)
    x = ops.rms_norm(x, weight, epsilon)
    return x if bias is None else ops.add(x, bias)
