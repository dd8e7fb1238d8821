"""Drafting: from the config's speculative keys to drafters, and back to statistics.

`draftModel` is loaded for the caller if it is not loaded yet, and must have the target's tokens.
`speculativeDecodingNumDraftTokensExact` and `...MinDraftLengthToConsider` hold for every drafter,
`...MinContinueDraftingProbability` for what a model draws: a lookup has no probabilities.
A file's own layers for more tokens than one draft if they are loaded, unless the config says no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ...sampling.sampler import Sampler
from ..drafters import Drafter, ForcedTokens, ModelDrafter, MTPDrafter, PromptLookup
from ..errors import LMStudioValueError
from ..speculative import DraftCounts, Rules, Speculation
from .config import LlmLoadModelConfig, LlmPredictionConfig
from .instance import Instance
from .registry import REGISTRY

if TYPE_CHECKING:
    from ..session import Session


class Drafting:
    """Who drafts for one answer of `target`, by an effective config."""

    def __init__(self, target: Instance, config: LlmPredictionConfig) -> None:
        self._target, self._config = target, config
        self._rules = _rules(config)
        self._counts: DraftCounts | None = None
        key = config.draft_model
        self._draft = None if key is None else _draft_instance(key, target)
        if config.multi_token_prediction and target.model.nextn is None:
            raise LMStudioValueError(_without_layers(target.identifier))

    @contextmanager
    def running(
        self, session: Session, sampler: Sampler, ids: Sequence[int], mask: Any = None
    ) -> Iterator[Speculation]:
        """The speculation of an answer to `ids` in a session; `sampler` draws it, under a mask."""
        model = self._target.model
        with ExitStack() as stack:
            drafters: list[Drafter] = []
            if mask is not None and model.arch.causal:
                drafters.append(ForcedTokens(mask.forced))
            if self._draft is not None:
                stack.enter_context(self._draft.in_use())
                drafters.append(self._model_drafter(stack, self._draft, sampler, ids))
            if session.nextn is not None and self._config.multi_token_prediction is not False:
                drafters.append(MTPDrafter(session.nextn, sampler, **self._drawing()))
            # What is not causal has no rows that stay right when tokens follow.
            if self._config.prompt_lookup is not False and model.arch.causal:
                drafters.append(PromptLookup(**_lookup_sizes(self._config.prompt_lookup)))
            speculation = Speculation(
                drafters,
                n_vocab=model.n_vocab,
                rules=self._rules,
                timings=self._target.timings,
            )
            self._counts = speculation.counts if drafters else None
            yield speculation

    def stats(self) -> dict[str, Any]:
        """The statistics' draft fields; empty where nothing could draft."""
        counts = self._counts
        if counts is None:
            return {}
        return {
            "used_draft_model_key": self._config.draft_model,
            "total_draft_tokens_count": counts.total,
            "accepted_draft_tokens_count": counts.accepted,
            "rejected_draft_tokens_count": counts.rejected,
            "ignored_draft_tokens_count": counts.ignored,
        }

    def _model_drafter(
        self, stack: ExitStack, draft: Instance, sampler: Sampler, ids: Sequence[int]
    ) -> ModelDrafter:
        session = draft.session_for(ids, threads=self._config.cpu_threads)
        return ModelDrafter(stack.enter_context(session), sampler, **self._drawing())

    def _drawing(self) -> dict[str, Any]:
        """How drafts are drawn."""
        least = self._config.speculative_decoding_min_continue_drafting_probability
        return {
            "ends": self._target.model.tokenizer.eog,
            "least_probability": least or 0.0,
            "apart": self._rules.rejection,
        }


def _without_layers(identifier: str) -> str:
    return (
        f"prediction config: multiTokenPrediction is true, but {identifier!r} has no layers for "
        "it: its file has none that are known, or it was loaded with multiTokenPrediction false"
    )


def _rules(config: LlmPredictionConfig) -> Rules:
    rejection = config.speculative_acceptance == "rejection"
    if rejection and config.speculative_decoding_min_continue_drafting_probability:
        raise LMStudioValueError(
            "prediction config: speculativeAcceptance 'rejection' needs a fixed draft length, "
            "speculativeDecodingMinContinueDraftingProbability would end drafts early: expected 0"
        )
    return Rules(
        exact=config.speculative_decoding_num_draft_tokens_exact,
        least=config.speculative_decoding_min_draft_length_to_consider or 0,
        rejection=rejection,
    )


def _lookup_sizes(setting: bool | dict[str, Any] | None) -> dict[str, int]:
    given = setting if isinstance(setting, dict) else {}
    names = {"maxNgram": "max_ngram", "maxDraft": "max_draft"}
    return {names[key]: value for key, value in given.items()}


def _draft_instance(key: str, target: Instance) -> Instance:
    model = target.model
    config = LlmLoadModelConfig(
        context_length=model.context_length,
        cpu_threads=target.config.cpu_threads,
        multi_token_prediction=False,
    )
    draft = REGISTRY.get_any(key, config)
    _check_fit(key, target, draft)
    return draft


def _check_fit(key: str, target: Instance, draft: Instance) -> None:
    """Raise unless every token means the same to both models."""
    where = f"prediction config: draftModel {key!r} cannot draft for {target.identifier!r}"
    for one, name in ((target, target.identifier), (draft, key)):
        if not one.model.arch.causal:
            raise LMStudioValueError(f"{where}: {name!r} does not write from left to right")
        if one.model.arch.source is not None:
            raise LMStudioValueError(f"{where}: {name!r} has an encoder, drafts do not")
    found, wanted = draft.model.n_vocab, target.model.n_vocab
    if found != wanted:
        raise LMStudioValueError(f"{where}: it has {found} tokens, expected {wanted}")
    texts, own = (_token_texts(one) for one in (draft, target))
    if texts == own:
        return
    at = next((i for i, (a, b) in enumerate(zip(texts, own, strict=False)) if a != b), None)
    if at is None:
        raise LMStudioValueError(
            f"{where}: it has texts for {len(texts)} tokens, expected {len(own)}"
        )
    raise LMStudioValueError(f"{where}: its token {at} is {texts[at]!r}, expected {own[at]!r}")


def _token_texts(instance: Instance) -> list[str]:
    found = instance.model.metadata.get("tokenizer.ggml.tokens")
    return found if isinstance(found, list) else []
