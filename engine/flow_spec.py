"""How a model's layers follow each other, from metadata: once, in loops or nested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..formats.errors import MetadataError
from .arch import Arch, Flow

if TYPE_CHECKING:
    from .keys import Keys

MAX_PASSES = 1024


@dataclass(frozen=True)
class FlowSpec:
    """`order` has the file's block for each layer that runs; the rest is of one kind of flow.

    Loops: `passes`, with the output norm between them if `normed`. Nested: `passes` of `inner`
    runs of a low stack and one of a high stack, each of `stack` layers.
    """

    order: tuple[int, ...]
    passes: int = 1
    normed: bool = True
    inner: int = 0
    stack: int = 0


def read_flow(keys: Keys, arch: Arch, count: int) -> FlowSpec:
    """Raises MetadataError that names the key."""
    if arch.flow is Flow.LOOPS:
        passes = keys.integer("num_loops", 1, MAX_PASSES, 1)
        normed = not keys.flag("skip_loop_final_norm", False)
        return FlowSpec(tuple(range(count)) * passes, passes, normed)
    if arch.flow is Flow.NESTED:
        return _nested(keys, count)
    return FlowSpec(tuple(range(count)))


def _nested(keys: Keys, count: int) -> FlowSpec:
    stack = keys.integer("hrm.layers_per_stack", 1, count)
    passes = keys.integer("hrm.h_cycles", 1, MAX_PASSES)
    inner = keys.integer("hrm.l_cycles", 1, MAX_PASSES)
    if stack * passes * (inner + 1) != count:
        expected = f"{stack * passes * (inner + 1)}, the runs of all stacks' layers"
        raise MetadataError(f"{keys.prefix}.block_count", None, str(count), expected)
    low, high = tuple(range(stack)), tuple(range(stack, 2 * stack))
    return FlowSpec((low * inner + high) * passes, passes, inner=inner, stack=stack)
