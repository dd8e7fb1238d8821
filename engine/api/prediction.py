"""Prediction: one call, from its prompt through session, sampler and token loop to its result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ...sampling.errors import SamplingError
from ...sampling.grammar.errors import GrammarError
from ...sampling.sampler import Sampler
from ..errors import LMStudioPredictionError
from ..generate import Generation, Limits, StopReason, fitted
from .config import LlmPredictionConfig
from .drafting import Drafting
from .instance import Instance
from .labels import Labeller
from .results import LlmInfo, LlmPredictionFragment, LlmPredictionStats, PredictionResult
from .settings import effective_config, limits, sampling_params
from .structured import compile_structured, parse_structured, structured_mask

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Ids to continue, and what the template knows of the answer.

    `keep` leading ids survive truncateMiddle; `open_tag` is a reasoning tag left open at the end.
    """

    ids: Sequence[int]
    keep: int
    stop_strings: tuple[str, ...] = ()
    reasoning_tags: dict[str, str] = field(default_factory=dict)
    open_tag: str | None = None


MakePrompt = Callable[[LlmPredictionConfig], Prompt]


class Prediction:
    """Everything of one call. `fragments` runs it; afterwards `result` tells how it went."""

    def __init__(
        self,
        instance: Instance,
        make_prompt: MakePrompt,
        config: LlmPredictionConfig,
        structured: dict[str, Any] | None = None,
        *,
        expects_tools: bool = False,
    ) -> None:
        model = instance.model
        self.config = effective_config(config, model.metadata, instance.config.seed)
        self.cancelled = False
        self.tool_calls: list[str] = []
        self._instance = instance
        self._make_prompt = make_prompt
        self._structured = structured
        self._expects_tools = expects_tools
        self._params = sampling_params(self.config, model.tokenizer)
        self._grammar = compile_structured(structured, model) if structured else None
        self._content: list[str] = []
        self._answer: list[str] = []  # without reasoning
        self._drafting = Drafting(instance, self.config)
        self._generation: Generation | None = None
        self._prompt_tokens = 0

    def fragments(
        self, on_progress: Callable[[float], None]
    ) -> Generator[LlmPredictionFragment, None, None]:
        """Run the prediction; leaving the iterator early stops it."""
        with self._instance.in_use() as model:
            prompt = self._make_prompt(self.config)
            limit = self._limits(prompt)
            ids = fitted(prompt.ids, limit)
            self._prompt_tokens, source = len(ids), None
            if model.arch.source is not None:
                # The prompt is read as a whole; what is continued is the answer's first token.
                source, ids, limit = ids, [answer_start(model)], replace(limit, keep=1)
            mask = self._mask(model, prompt)
            sampler = self._sampler(model, mask)
            with (
                _sampling_errors(),
                self._instance.session_for(ids, source, self.config.cpu_threads) as session,
                self._drafting.running(session, sampler, ids, mask) as speculation,
            ):
                self._generation = Generation(
                    session,
                    model.tokenizer.stream(),
                    sampler,
                    ids,
                    limit,
                    end_tokens=model.tokenizer.eog,
                    speculation=speculation,
                    interrupted=self._interrupted,
                    on_progress=on_progress,
                )
                for fragment in self._labelled(self._generation, prompt):
                    self._content.append(fragment.content)
                    if fragment.reasoning_type == "none":
                        self._answer.append(fragment.content)
                    yield fragment
                    if self.cancelled:
                        return

    def result(self) -> PredictionResult:
        """What has been made so far, as a result."""
        content = "".join(self._content)
        stats = self._stats()
        setting = None if stats.stop_reason == "userStopped" else self._structured
        return PredictionResult(
            content=content,
            parsed=parse_structured(content, "".join(self._answer), setting),
            stats=stats,
            model_info=cast(LlmInfo, self._instance.info),
            load_config=self._instance.config,
            prediction_config=self.config,
            logprobs=self._logprobs() if self.config.logprobs else None,
        )

    def _mask(self, model: Model, prompt: Prompt) -> Any:
        if self._grammar is None:
            return None
        return structured_mask(self._grammar, model, prompt.reasoning_tags, prompt.open_tag)

    def _sampler(self, model: Model, mask: Any) -> Sampler:
        token_bytes = model.tokenizer.token_bytes
        return Sampler(self._params, model.n_vocab, token_bytes=token_bytes, mask=mask)

    def _labelled(self, generation: Generation, prompt: Prompt) -> Iterator[LlmPredictionFragment]:
        labeller = Labeller(
            prompt.reasoning_tags, prompt.open_tag, expects_tools=self._expects_tools
        )
        self.tool_calls = labeller.tool_calls
        for piece in generation:
            yield from labeller.push(*piece)
        yield from labeller.flush()

    def _limits(self, prompt: Prompt) -> Limits:
        found = limits(
            self.config,
            self._instance.model.context_length,
            batch=self._instance.batch,
            keep=prompt.keep,
        )
        return replace(found, stop_strings=(*found.stop_strings, *prompt.stop_strings))

    def _interrupted(self) -> StopReason | None:
        if self.cancelled:
            return "userStopped"
        return "modelUnloaded" if self._instance.unloaded else None

    def _stats(self) -> LlmPredictionStats:
        made = self._generation
        if made is None:
            return LlmPredictionStats(stop_reason="userStopped")
        return LlmPredictionStats(
            stop_reason=made.stop_reason or "userStopped",
            tokens_per_second=made.tokens_per_second,
            num_gpu_layers=0.0,
            time_to_first_token_sec=made.time_to_first_token,
            prompt_tokens_count=self._prompt_tokens,
            predicted_tokens_count=len(made.predicted),
            total_tokens_count=self._prompt_tokens + len(made.predicted),
            **self._drafting.stats(),
        )

    def _logprobs(self) -> list[dict[str, Any]]:
        made = self._generation.logprobs if self._generation else []
        return [
            self._logprob(entry.token, entry.logprob)
            | {"top": [self._logprob(other.token, other.logprob) for other in entry.top]}
            for entry in made
        ]

    def _logprob(self, token: int, logprob: float) -> dict[str, Any]:
        text = self._instance.model.tokenizer.decode([token], special=True)
        return {"token": token, "text": text, "logprob": logprob}


@contextmanager
def _sampling_errors() -> Iterator[None]:
    try:
        yield
    except (SamplingError, GrammarError) as error:
        raise LMStudioPredictionError(str(error)) from error


def answer_start(model: Model) -> int:
    """The token that answers to a source begin with. Raises if the file names none."""
    if model.hparams.start is None:
        raise LMStudioPredictionError(
            "this model file does not say which token an answer begins with: encode the prompt and "
            "feed that token to a session of your own"
        )
    return model.hparams.start
