"""Layer: one layer as its functions see it, and the few lines that all of them write."""

from __future__ import annotations

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
        out = self.ops.matmul(getattr(self.w, name), x)
        scale = getattr(self.w, f"{name}_scale", None)
        out = out if scale is None else self.ops.scale(out, float(scale.reshape(-1)[0]))
        bias = getattr(self.w, f"{name}_bias", None)
        return out if bias is None else self.ops.add(out, bias)


def normed(ops: Ops, kind: Norm, x: Array, weight: Any, bias: Any, epsilon: float) -> Array:
    """RMS or layer norm over the last axis."""
    if kind is Norm.LAYER:
        return ops.layer_norm(x, weight, bias, epsilon)
    x = ops.rms_norm(x, weight, epsilon)
    return x if bias is None else ops.add(x, bias)
