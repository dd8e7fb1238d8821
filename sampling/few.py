"""The rest of a chain that began with top-k: one kernel's work, where it has all the steps.

The same numbers as stage by stage; bench_sampling "default chain" has the time.
"""

from collections.abc import Callable, Sequence

from .candidates import Candidates, Distribution
from .chain import Stage


def few_left(stages: Sequence[Stage]) -> Callable[[Candidates], Distribution] | None:
    """Return what applies these stages and the softmax to few candidates; None where a stage is
    not the kernel's.
    """
    given = [(stage.name, stage.number) for stage in stages if stage.number is not None]
    if len(given) < len(stages):
        return None
    steps = None

    def apply(c: Candidates) -> Distribution:
        nonlocal steps
        from ..kernels import chain_of_few  # chooses the instruction set

        steps = steps or chain_of_few.steps_of(given)
        return Distribution(*chain_of_few.few_left(c.ids, c.logits, steps))

    return apply
