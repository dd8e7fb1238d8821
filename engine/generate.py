"""The token loop: read the prompt in pieces; then draw a token, show its text, feed it, and so on.

Where the next row of logits comes from, a step or a draft that stood, is speculative.py's matter.

The prompt and the answer share the context. When it is full, `overflow` decides:
  stopAtLimit     end the answer; a prompt that does not fit at all is an error;
  truncateMiddle  keep the first `keep` tokens (system prompt and first user message), drop what
                  follows them;
  rollingWindow   keep only a leading BOS (`keep` is 0 or 1), drop the oldest.
Dropping leaves the newest tokens, as many as fill half of the space behind `keep`, and feeds them
again at their new positions: the result is that of a fresh prompt of the same tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from .errors import LMStudioPredictionError, LMStudioValueError
from .prefix import SessionLike, shared_length
from .speculative import Speculation
from .stop_strings import StopStrings

StopReason: TypeAlias = Literal[
    "userStopped",
    "modelUnloaded",
    "failed",
    "eosFound",
    "stopStringFound",
    "toolCalls",
    "maxPredictedTokensReached",
    "contextLengthReached",
]
OverflowPolicy: TypeAlias = Literal["stopAtLimit", "truncateMiddle", "rollingWindow"]


class DecoderLike(Protocol):
    """Token ids in, whole characters out."""

    def push(self, token: int, /) -> str: ...
    def flush(self) -> str: ...


class SamplerLike(Protocol):
    """What the loop needs of a sampler."""

    @property
    def logprobs(self) -> Any: ...
    def accept_prompt(self, ids: Sequence[int], /) -> None: ...
    def pick(self, logits: Any, /) -> int: ...
    def accept(self, token: int, /) -> None: ...


class Piece(NamedTuple):
    """Text that can be shown, how many tokens it took, and whether one of them was drafted."""

    text: str
    tokens: int
    drafted: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where an answer ends. `keep` is how many leading tokens dropping spares."""

    context_length: int
    max_tokens: int | None = None
    stop_strings: tuple[str, ...] = ()
    tool_call_stop_strings: tuple[str, ...] = ()
    overflow: OverflowPolicy = "stopAtLimit"
    keep: int = 0
    batch: int = 512
    logprobs: bool = False


def fitted(prompt: Sequence[int], limits: Limits) -> list[int]:
    """Return the prompt as it will be fed: whole, or shortened or refused as `overflow` says."""
    if not prompt:
        raise LMStudioValueError("the prompt has no tokens: the model needs at least one")
    if limits.overflow != "stopAtLimit":
        return list(prompt) if len(prompt) < limits.context_length else dropped(prompt, limits)
    if len(prompt) <= limits.context_length:
        return list(prompt)
    raise LMStudioPredictionError(
        f"the prompt has {len(prompt)} tokens, the context holds {limits.context_length}: load the "
        "model with a larger contextLength or set contextOverflowPolicy to 'truncateMiddle' or "
        "'rollingWindow'"
    )


def dropped(tokens: Sequence[int], limits: Limits) -> list[int]:
    """Drop tokens behind `keep` until half of the space there is free."""
    keep = min(limits.keep, limits.context_length // 2)
    newest = max(1, (limits.context_length - keep) // 2)
    return [*tokens[:keep], *tokens[-newest:]]


class Generation:
    """One answer. Iterate it once for its pieces; then `stop_reason` and the counts are final.

    `prompt` comes from `fitted`; a `session` that holds a beginning of it (not all) is continued
    from there. `interrupted()` is asked before every step: a reason ends the answer there.
    """

    def __init__(
        self,
        session: SessionLike,
        decoder: DecoderLike,
        sampler: SamplerLike,
        prompt: Sequence[int],
        limits: Limits,
        *,
        end_tokens: frozenset[int] = frozenset(),
        speculation: Speculation | None = None,
        interrupted: Callable[[], StopReason | None] = lambda: None,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> None:
        self.session = session
        self.prompt_tokens = len(prompt)
        self.predicted: list[int] = []
        self.logprobs: list[Any] = []
        self.stop_reason: StopReason | None = None
        self._prompt = prompt
        self._decoder = decoder
        self._sampler = sampler
        self._limits = limits
        self._end_tokens = end_tokens
        self._speculation = speculation or Speculation()
        self._interrupted = interrupted
        self._on_progress = on_progress
        self._stops = StopStrings((*limits.stop_strings, *limits.tool_call_stop_strings))
        self._waiting = 0  # tokens drawn whose text has not been shown
        self._drafted = False  # whether one of them was a draft that stood
        self._started = self._first = self._last = 0.0
        self._paused = 0.0  # seconds the caller held us between two pieces

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces of text; a caller that leaves early has stopped the answer."""
        self._started = perf_counter()
        try:
            for text in self._texts():
                if text:
                    yield self._piece(text)
                    self._paused += perf_counter() - self._shown
        except GeneratorExit:
            self.stop_reason = self.stop_reason or "userStopped"
            self._speculation.settle(self.session)
            raise

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens after the first over the seconds they took, without the caller's own time."""
        seconds = self._last - self._first
        return (len(self.predicted) - 1) / seconds if seconds > 0 else None

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the start until the first token was drawn."""
        return self._first - self._started if self.predicted else None

    def _piece(self, text: str) -> Piece:
        piece = Piece(text, self._waiting, self._drafted)
        self._waiting, self._drafted = 0, False
        self._shown = perf_counter()
        return piece

    def _texts(self) -> Iterator[str]:
        logits = self._read_prompt()
        while self.stop_reason is None:
            token = self._draw(logits)
            if token in self._end_tokens:
                self.stop_reason = "eosFound"
                break
            self._keep(token)
            yield self._stops.push(self._decoder.push(token))
            self.stop_reason = self._reason_to_stop()
            if self.stop_reason is None:
                logits = self._feed(token)
        self._speculation.settle(self.session)
        yield self._rest()

    def _read_prompt(self) -> Any:
        self._sampler.accept_prompt(self._prompt)
        self._on_progress(0.0)
        logits = self._read(self._prompt, self._on_progress)
        self._speculation.restart(self._prompt)
        self.stop_reason = self.stop_reason or self._reason_when_full()
        return logits

    def _read(self, tokens: Sequence[int], on_progress: Callable[[float], None]) -> Any:
        """Feed what the session does not hold yet; the logits after the last token."""
        logits = None
        while (at := self.session.position) < len(tokens):
            self.stop_reason = self._interrupted()
            if self.stop_reason is not None:
                return None
            end = min(at + self._limits.batch, len(tokens))
            wanted: Literal["last", "none"] = "last" if end == len(tokens) else "none"
            logits = self.session.feed(tokens[at:end], logits=wanted)
            on_progress(end / len(tokens))
        return logits

    def _draw(self, logits: Any) -> int:
        token = self._speculation.draw(self._sampler, logits)
        self._sampler.accept(token)
        return token

    def _keep(self, token: int) -> None:
        now = perf_counter()
        self._last = now - self._paused
        if not self.predicted:
            self._first = now
        self.predicted.append(token)
        self._waiting += 1
        self._drafted |= self._speculation.drafted
        if self._limits.logprobs:
            self.logprobs.append(self._sampler.logprobs)

    def _reason_to_stop(self) -> StopReason | None:
        if self._stops.found is not None:
            is_tool = self._stops.found in self._limits.tool_call_stop_strings
            return "toolCalls" if is_tool else "stopStringFound"
        if len(self.predicted) == self._limits.max_tokens:
            return "maxPredictedTokensReached"
        return self._reason_when_full() or self._interrupted()

    def _reason_when_full(self) -> StopReason | None:
        full = self.prompt_tokens + len(self.predicted) >= self._limits.context_length
        return "contextLengthReached" if full and self._limits.overflow == "stopAtLimit" else None

    def _feed(self, token: int) -> Any:
        row = self._speculation.advance(self.session, token)
        if row is not None:
            return row
        if self.session.position < self._limits.context_length:
            return self._speculation.feed(self.session, token, self._room_for_drafts())
        return self._drop_and_read([*self.session.tokens, token])

    def _room_for_drafts(self) -> int:
        """How many drafts behind the next token could still be followed by a token."""
        room = self._limits.context_length - self.session.position - 2
        if self._limits.max_tokens is None:
            return room
        return min(room, self._limits.max_tokens - len(self.predicted) - 1)

    def _drop_and_read(self, tokens: list[int]) -> Any:
        kept = dropped(tokens, self._limits)
        self._speculation.restart(kept)
        self.session.rewind(min(shared_length(kept, tokens), len(kept) - 1))
        return self._read(kept, lambda share: None)

    def _rest(self) -> str:
        """What was held back, once the answer ended by itself."""
        if self.stop_reason in ("userStopped", "modelUnloaded") or self._stops.found is not None:
            return ""
        shown = self._stops.push(self._decoder.flush())
        if self._stops.found is not None:
            self.stop_reason = self._reason_to_stop()
            return shown
        return shown + self._stops.flush()
