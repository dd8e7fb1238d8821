"""How layers follow each other: in order, in loops, nested, or over a residual of their own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from ...kernels.ops import Ops
from ..arch import Arch, Flow
from ..hparams import HParams
from .block import block, over_residual
from .layer import Array, Layer, normed


def output_norm(arch: Arch, hparams: HParams, top: SimpleNamespace, x: Array, ops: Ops) -> Array:
    """The norm before the logits."""
    weight, bias = getattr(top, "output_norm", None), getattr(top, "output_norm_bias", None)
    return normed(ops, arch.norm, x, weight, bias, hparams.epsilon)


def in_order(layers: list[Layer], top: SimpleNamespace, x: Array) -> Array:
    """Each layer once."""
    for layer in layers:
        x = block(layer, x)
    return x


def in_loops(layers: list[Layer], top: SimpleNamespace, x: Array) -> Array:
    """All layers several times, with the output norm between."""
    flow, one = layers[0].hparams.flow, layers[0]
    count = len(layers) // flow.passes
    for start in range(0, len(layers), count):
        if start and flow.normed:
            x = output_norm(one.arch, one.hparams, top, x, one.ops)
        x = in_order(layers[start : start + count], top, x)
    return x


def nested(layers: list[Layer], top: SimpleNamespace, high: Array) -> Array:
    """low = stack(high + low) several times, then high = stack(high + low) (HRM, 2025).

    Each run of a stack ends with a norm without weights.
    """
    flow, one = layers[0].hparams.flow, layers[0]
    start, stack, ops = 0, flow.stack, one.ops
    low = top.hrm_z_l_init
    for _ in range(flow.passes):
        for inner in range(flow.inner + 1):
            x = in_order(layers[start : start + stack], top, ops.add(high, low))
            x = normed(ops, one.arch.norm, x, None, None, one.hparams.epsilon)
            start += stack
            high, low = (high, x) if inner < flow.inner else (x, low)
    return high


def mixed(layers: list[Layer], top: SimpleNamespace, x: Array) -> Array:
    """Each layer once, over the residual that the spec names."""
    one = layers[0]
    residual, epsilon = one.hparams.residual, one.hparams.epsilon
    if residual is None:
        raise ValueError("residual: found none, expected what the spec names")
    over = residual.begin(x, one.ops)
    for index, layer in enumerate(layers):
        if layer.spec.inlet is not None:
            over = layer.spec.inlet.enter(layer, top, over)
        over = over_residual(layer, index, over)
    return residual.end(over, top, epsilon, one.ops)


def predicted(layers: list[Layer], top: SimpleNamespace, x: Array) -> Array:
    """Each layer once, on one of several streams; the others are predicted and corrected."""
    ops, altup = layers[0].ops, layers[0].hparams.altup
    if altup is None:
        raise ValueError("altup: found none, expected the streams that the spec names")
    streams = altup.begin(x, top, ops)
    for layer in layers:
        streams = altup.layer(layer, streams)
    return altup.end(streams, top, ops)


FLOWS: dict[Flow, Callable[[list[Layer], SimpleNamespace, Array], Array]] = {
    Flow.IN_ORDER: in_order,
    Flow.LOOPS: in_loops,
    Flow.NESTED: nested,
    Flow.MIXED: mixed,
    Flow.PREDICTED: predicted,
}
