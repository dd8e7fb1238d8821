"""What a sampler knows of the text so far, with its one owner and explicit verbs."""

from collections.abc import Callable, Collection, Sequence
from copy import copy

from .adaptive_p import AdaptivePState
from .candidates import Distribution
from .dry import Repeats
from .mirostat import MirostatState
from .params import SamplingParams
from .penalties import Window


class State:
    """Position in the answer, recent tokens, and the running values of mirostat or adaptive-p.

    `stages` names the active stages: what none of them reads is not kept. `observed` is the
    distribution in which mirostat or adaptive-p looks up the next token's probability.
    """

    def __init__(
        self,
        params: SamplingParams,
        n_vocab: int,
        token_bytes: Callable[[int], bytes] | None,
        stages: Collection[str],
    ) -> None:
        self.position = 0
        self.observed: Distribution | None = None
        self.window = Window(params.repeat_last_n if "penalties" in stages else 0)
        self.repeats: Repeats | None = None
        self.ending: MirostatState | AdaptivePState | None = None
        if params.dry is not None and "dry" in stages:
            self.repeats = Repeats(params.dry, token_bytes)
        if params.temperature == 0.0:
            return
        if params.mirostat is not None:
            self.ending = MirostatState(params.mirostat, n_vocab)
        if params.adaptive_p is not None:
            self.ending = AdaptivePState(params.adaptive_p)

    def extend(self, tokens: Sequence[int]) -> None:
        """Take the tokens of a prompt; the position stays."""
        self.window.extend(tokens)
        if self.repeats is not None:
            self.repeats.extend(tokens)

    def accept(self, token: int) -> None:
        """Take one token of the answer."""
        self.position += 1
        self.window.accept(token)
        if self.repeats is not None:
            self.repeats.accept(token)
        if self.ending is not None and self.observed is not None:
            self.ending.accept(self.observed.probability(token))
        self.observed = None

    def copy(self) -> "State":
        """Return an independent copy."""
        other = copy(self)
        other.window = self.window.copy()
        other.repeats = None if self.repeats is None else self.repeats.copy()
        other.ending = copy(self.ending)
        return other
