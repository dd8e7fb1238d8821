"""The config's speculative keys on the toy model: who drafts, what is refused, what is counted."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import gnomon as lms
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.registry import REGISTRY
from gnomon.engine.errors import LMStudioValueError

GREEDY = {"temperature": 0, "repeatPenalty": False}
EXACT = "speculativeDecodingNumDraftTokensExact"
LEAST = "speculativeDecodingMinDraftLengthToConsider"
SURE = "speculativeDecodingMinContinueDraftingProbability"
ROOT = Path(__file__).parents[3]
TEXT = "one two three one two three"


def load_draft_maker() -> ModuleType:
    path = ROOT / "benchmarks" / "make_draft.py"
    spec = importlib.util.spec_from_file_location("make_draft_for_api", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_draft = load_draft_maker()


def test_a_draft_model_is_loaded_for_the_caller_and_named(toy: LLM, toy_folder: Path) -> None:
    result = toy.respond("hi", config={**GREEDY, "draftModel": "toy-model", EXACT: 4})
    assert result.content == "You said: hi"
    assert [one.identifier for one in REGISTRY.loaded()] == ["toy-model"]
    stats = result.stats
    assert stats.used_draft_model_key == "toy-model"
    assert (stats.total_draft_tokens_count, stats.accepted_draft_tokens_count) == (10, 10)
    assert (stats.rejected_draft_tokens_count, stats.ignored_draft_tokens_count) == (0, 0)


def test_a_draft_model_that_is_loaded_is_used_whatever_its_config(
    toy: LLM, toy_folder: Path
) -> None:
    loaded = lms.llm("toy-model", config={"evalBatchSize": 7})
    toy.respond("hi", config={"draftModel": "toy-model"})
    assert [one.identifier for one in REGISTRY.loaded()] == [loaded.identifier]


def test_a_second_answer_continues_the_draft_model_s_session(toy: LLM, toy_folder: Path) -> None:
    config = {**GREEDY, "draftModel": "toy-model", EXACT: 4}
    toy.respond(TEXT, config=config)
    model: Any = REGISTRY.named("toy-model").model
    model.fed.clear()
    toy.respond(TEXT, config=config)
    assert model.fed[0] < 5
    assert model.live == 1


def test_fragments_tell_what_was_drafted(toy: LLM, toy_folder: Path) -> None:
    config = {**GREEDY, "draftModel": "toy-model", EXACT: 30}
    drafted = [f.contains_drafted for f in toy.respond_stream("hi", config=config)]
    assert drafted == [False, *[True] * (len(drafted) - 1)]


@pytest.mark.parametrize("lookup", [True, {"maxNgram": 2, "max_draft": 5}])
def test_prompt_lookup_drafts_without_a_model(toy: LLM, lookup: Any) -> None:
    result = toy.respond(TEXT, config={**GREEDY, "promptLookup": lookup, EXACT: 5})
    assert result.content == f"You said: {TEXT}"
    assert result.stats.used_draft_model_key is None
    assert result.stats.accepted_draft_tokens_count
    plain = toy.respond(TEXT, config={**GREEDY, "promptLookup": False})
    assert plain.content == result.content


def test_without_drafters_there_are_no_draft_statistics(toy: LLM) -> None:
    stats = toy.respond("hi", config={"promptLookup": False}).stats
    assert stats.total_draft_tokens_count is None


def test_prompt_lookup_is_on_unless_it_is_switched_off(toy: LLM) -> None:
    result = toy.respond("hi", config=GREEDY)
    assert result.prediction_config.prompt_lookup is True
    assert result.prediction_config.speculative_acceptance == "match"
    assert result.stats.total_draft_tokens_count is not None


def test_a_model_that_is_not_causal_is_not_drafted_for(toy: LLM) -> None:
    model: Any = toy._instance.model
    model.arch = SimpleNamespace(causal=False, source=None)
    result = toy.respond(TEXT, config={**GREEDY, EXACT: 5})
    assert result.content == f"You said: {TEXT}"
    assert result.stats.total_draft_tokens_count is None


def test_short_drafts_are_ignored(toy: LLM, toy_folder: Path) -> None:
    config = {**GREEDY, "draftModel": "toy-model", EXACT: 3, LEAST: 4}
    stats = toy.respond("hi", config=config).stats
    assert stats.ignored_draft_tokens_count == stats.total_draft_tokens_count
    assert stats.total_draft_tokens_count


def test_unlikely_tokens_are_not_drafted(toy: LLM, toy_folder: Path) -> None:
    config = {"draftModel": "toy-model", EXACT: 3, SURE: 0.5, "maxTokens": 20}
    assert toy.complete("dice", config=config).stats.total_draft_tokens_count == 0
    assert toy.complete("abc", config={**config, **GREEDY}).stats.total_draft_tokens_count


@pytest.mark.parametrize("acceptance", ["match", "rejection"])
@pytest.mark.parametrize("drafts", [{}, {"draftModel": "toy-model"}], ids=["lookup", "model"])
def test_the_same_seed_gives_the_same_answer(
    acceptance: str, drafts: dict[str, str], toy: LLM, toy_folder: Path
) -> None:
    config = {"seed": 3, "maxTokens": 40, "speculativeAcceptance": acceptance, **drafts}
    one, two = (toy.complete("dice 12 12", config=config).content for _ in range(2))
    plain = toy.complete("dice 12 12", config={**config, "promptLookup": False}).content
    assert one == two
    assert acceptance == "rejection" or one == plain


def test_rejection_refuses_drafts_of_a_length_that_depends_on_them(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match=f"fixed draft length.*{SURE}"):
        toy.respond("hi", config={"speculativeAcceptance": "rejection", SURE: 0.5})


def test_a_draft_model_with_another_number_of_tokens_is_refused(toy: LLM, toy_folder: Path) -> None:
    model: Any = lms.llm("toy-model")._instance.model
    model.n_vocab = 261
    with pytest.raises(LMStudioValueError, match=r"'toy-model' cannot .*261 tokens, expected 260"):
        toy.respond("hi", config={"draftModel": "toy-model"})


def test_a_draft_model_with_other_token_texts_is_refused_naming_the_first(
    toy: LLM, toy_folder: Path
) -> None:
    own: Any = toy._instance.model
    other: Any = lms.llm("toy-model")._instance.model
    own.metadata["tokenizer.ggml.tokens"] = ["a", "b", "c"]
    other.metadata["tokenizer.ggml.tokens"] = ["a", "x", "c"]
    with pytest.raises(LMStudioValueError, match="its token 1 is 'x', expected 'b'"):
        toy.respond("hi", config={"draftModel": "toy-model"})
    other.metadata["tokenizer.ggml.tokens"] = ["a", "b"]
    with pytest.raises(LMStudioValueError, match="texts for 2 tokens, expected 3"):
        toy.respond("hi", config={"draftModel": "toy-model"})


def test_leaving_a_drafted_answer_keeps_only_what_was_shown(toy: LLM) -> None:
    with toy.respond_stream(TEXT, config={**GREEDY, EXACT: 9}) as stream:
        for _, _ in zip(range(12), stream, strict=False):
            pass
    (kept,) = toy._instance.sessions._kept
    assert toy._instance.model.tokenizer.decode(kept.tokens).endswith("You said: o")


@pytest.mark.parametrize(
    ("setting", "said"), [({"maxNgram": 33}, "1 to 32"), ({"maxDraft": 0}, "1 to 64"), (3, "dict")]
)
def test_a_lookup_out_of_range_is_refused(setting: Any, said: str, toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match=said):
        toy.respond("hi", config={"promptLookup": setting})


# --- the model's own layers -----------------------------------------------------------------------


class Foresight:
    """What a session keeps for layers ahead, where these are the toy itself."""

    most = 4

    def __init__(self, session: Any) -> None:
        self.session = session

    @contextmanager
    def ahead(self) -> Iterator[Any]:
        said = list(self.session.tokens)

        def feed(token: int) -> Any:
            said.append(token)
            return self.session.model.logits(said)

        yield SimpleNamespace(feed=feed)


@pytest.fixture
def foreseeing(toy: LLM, monkeypatch: pytest.MonkeyPatch) -> LLM:
    """A toy whose file has layers that draft."""
    model: Any = toy._instance.model
    monkeypatch.setattr(model, "nextn", object())
    kind = type(model.session())
    monkeypatch.setattr(kind, "nextn", property(Foresight))
    return toy


def test_a_model_s_own_layers_draft_if_it_has_them(foreseeing: LLM) -> None:
    stats = foreseeing.respond("hi", config={**GREEDY, EXACT: 4, "promptLookup": False}).stats
    assert (stats.total_draft_tokens_count, stats.accepted_draft_tokens_count) == (10, 10)
    assert stats.used_draft_model_key is None


def test_a_model_s_own_layers_rest_if_they_are_not_wanted(foreseeing: LLM) -> None:
    config = {**GREEDY, EXACT: 4, "promptLookup": False, "multiTokenPrediction": False}
    assert foreseeing.respond("hi", config=config).stats.total_draft_tokens_count is None


def test_unlikely_tokens_are_not_drafted_by_a_model_s_own_layers(foreseeing: LLM) -> None:
    config = {EXACT: 3, SURE: 0.5, "maxTokens": 20, "promptLookup": False}
    assert foreseeing.complete("dice", config=config).stats.total_draft_tokens_count == 0


def test_own_layers_that_a_model_has_not_cannot_be_asked_for(toy: LLM) -> None:
    with pytest.raises(LMStudioValueError, match="multiTokenPrediction is true, but 'toy' has no"):
        toy.respond("hi", config={"multiTokenPrediction": True})


# --- with a grammar ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("drafts", [{}, {"draftModel": "toy-model"}], ids=["lookup", "model"])
def test_a_grammar_moves_as_in_plain_generation(
    seed: int, drafts: dict[str, str], toy: LLM, toy_folder: Path
) -> None:
    # What lookup finds behind a digit is a letter, which the grammar does not allow.
    structured = {"type": "regex", "regex": "((1[2-4]|[5-9]0)[0-9]){9}"}
    config = {"seed": seed, "maxTokens": 40, "structured": structured}
    prompt = "dice 1a2a3a4a5a6a7a8a9a0a "
    plain = toy.complete(prompt, config={**config, "promptLookup": False})
    drafted = toy.complete(prompt, config={**config, **drafts, EXACT: 5})
    assert drafted.content == plain.content
    assert drafted.stats.stop_reason == plain.stats.stop_reason
    assert drafted.stats.total_draft_tokens_count


@pytest.fixture(scope="module")
def smollm2_draft(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """SmolLM2 without its last two layers."""
    path = tmp_path_factory.mktemp("draft") / "draft.gguf"
    make_draft.make_draft(smollm2_path, path, 28)
    return str(path)


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"seed": 5}], ids=["greedy", "sampled"])
def test_a_real_draft_model_leaves_a_structured_answer_as_it_is(
    sampling: dict[str, Any], smollm2_path: Path, smollm2_draft: str
) -> None:
    llm = lms.llm(str(smollm2_path))
    person = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": person, "required": ["name", "age"]}
    config = {**sampling, "maxTokens": 40, "structured": {"type": "json", "jsonSchema": schema}}
    prompt = "Describe a person named Anna, aged 33, as JSON."
    plain = llm.respond(prompt, config={**config, "promptLookup": False})
    for more in (
        {EXACT: 4},
        {"draftModel": smollm2_draft},
        {"draftModel": smollm2_draft, EXACT: 3},
    ):
        drafted = llm.respond(prompt, config={**config, **more})
        assert (drafted.content, drafted.stats.stop_reason) == (
            plain.content,
            plain.stats.stop_reason,
        )
    assert drafted.stats.used_draft_model_key == smollm2_draft
    assert drafted.stats.accepted_draft_tokens_count
    for instance in REGISTRY.loaded():
        REGISTRY.unload(instance.identifier)


def test_cpu_threads_hold_for_the_draft_model_too(toy: LLM, toy_folder: Path) -> None:
    toy.respond("hi", config={**GREEDY, "draftModel": "toy-model", EXACT: 4, "cpuThreads": 1})
    (draft,) = REGISTRY.loaded()
    assert [kept.threads for kept in draft.sessions._kept] == [1]
