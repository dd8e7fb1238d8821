"""Speculation on and off give the same ids on real weights, and a refused draft leaves no byte.

200 prompts, each with a seeded draw of drafter, draft length, sampling, compute mode and model, so
that every pair of values occurs. The full matrix: GNOMON_FULL_MATRIX=1 python -m pytest, this file.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from gnomon.engine.draft_policy import Offer
from gnomon.engine.drafters import Draft, ModelDrafter, PromptLookup
from gnomon.engine.generate import Generation, Limits
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.prefix import SessionLike
from gnomon.engine.speculative import Rules, Speculation
from gnomon.kernels.kv_pages import PAGE, keys_of, values_of
from gnomon.sampling.params import Dry, SamplingParams
from gnomon.sampling.sampler import Sampler

ROOT = Path(__file__).parents[2]
ARCHS = ROOT / "tests" / "golden" / "archs"
PROMPTS = ROOT / "tests" / "golden" / "models" / "smollm2-135m-instruct-q4_1.json"
TEXT = [id_ for prompt in json.loads(PROMPTS.read_text())["prompts"] for id_ in prompt["tokens"]]
CONTEXT = 192
ANSWER = {"smollm2": 12, "mamba-dense": 24, "lfm2-dense": 24}
SAMPLING = {
    "greedy": SamplingParams(temperature=0.0),
    "sampled": SamplingParams(seed=4, temperature=1.1, dry=Dry(multiplier=0.5)),
}


class Case(NamedTuple):
    """One row of the matrix; no length: the one that pays."""

    drafter: str
    length: int | None
    sampling: str
    compute: str
    model: str


DRAFTERS = (
    "lookup",
    "draft model",
    "mostly right",
    "constant",
    "out of range",
    "end in the middle",
    "beyond the context",
)
FACTORS = (DRAFTERS, (*range(1, 17), None), tuple(SAMPLING), ("int8", "float32"), tuple(ANSWER))
MATRIX = [Case(*values) for values in itertools.product(*FACTORS)]


def covering(count: int) -> list[Case]:
    """Rows of the matrix in a seeded order, those first that bring the most pairs not seen yet."""
    rng = np.random.default_rng(10)
    left = {pair for case in MATRIX for pair in pairs(case)}
    chosen: list[Case] = []
    while len(chosen) < count:
        tried = [MATRIX[i] for i in rng.integers(0, len(MATRIX), 40)]
        chosen.append(max(tried, key=lambda case: len(left & pairs(case))))
        left -= pairs(chosen[-1])
    return chosen


def pairs(case: Case) -> set[tuple[Any, ...]]:
    places = itertools.combinations(range(len(case)), 2)
    return {(i, case[i], j, case[j]) for i, j in places}


CASES = MATRIX if os.environ.get("GNOMON_FULL_MATRIX") else covering(200)


def load_file(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


Open = Callable[..., Model]


@pytest.fixture(scope="module")
def opened(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """`opened(name, compute)`: a model, or with `draft` the one that drafts for it."""
    folder = tmp_path_factory.mktemp("models")

    @functools.cache
    def path_of(name: str, draft: bool) -> Path:
        path = folder / f"{name}{draft}.gguf"
        if name != "smollm2":
            spec = json.loads((ARCHS / f"{name}.json").read_text())
            load_file(ARCHS / "fixture.py", "fixture_for_drafts").write(spec, str(path))
            return path
        if not draft:
            return smollm2_path
        maker = load_file(ROOT / "benchmarks" / "make_draft.py", "make_draft")
        maker.make_draft(smollm2_path, path, 26)
        return path

    @functools.cache
    def open_model(name: str, compute: Any, draft: bool = False) -> Model:
        return Model.open(path_of(name, draft), LoadConfig(compute=compute, context_length=CONTEXT))

    return open_model


# --- drafters ------------------------------------------------------------------------------------


class Scripted:
    """Drafts what `guess(tokens of the answer so far, count)` says."""

    def __init__(self, prompt: int, guess: Callable[[int, int], list[int]]) -> None:
        self.prompt, self.guess, self.size = prompt, guess, 0

    def restart(self, tokens: Sequence[int]) -> None:
        self.size = len(tokens)

    def accept(self, token: int) -> None:
        self.size += 1

    def offer(self) -> Offer:
        return Offer("scripted", 0.7, 1000, True)

    def propose(self, count: int) -> Draft:
        return Draft(self.guess(self.size - self.prompt, count), [])


def mostly_right(answer: Sequence[int]) -> Callable[[int, int], list[int]]:
    """The plain run's own tokens, every fourth of them wrong."""

    def guess(said: int, count: int) -> list[int]:
        rest = [*answer[said:], *[3] * count][:count]
        return [id_ + 1 if (said + i) % 4 == 3 else id_ for i, id_ in enumerate(rest)]

    return guess


def drafter_for(case: Case, opened: Open, sampler: Sampler, prompt: list[int], plain: Any) -> Any:
    """The case's drafter; `plain` is the answer without drafts."""
    if case.drafter == "lookup":
        return PromptLookup()
    if case.drafter == "draft model":
        # A recurrent fixture is drafted for by itself in the other mode: nearly always right.
        other = {"int8": "float32", "float32": "int8"}[case.compute]
        if case.model == "smollm2":
            other = case.compute
        return ModelDrafter(opened(case.model, other, True).session(), sampler, ends=ends(case))
    guesses = {
        "mostly right": mostly_right(plain),
        "constant": lambda said, count: [7] * count,
        "out of range": lambda said, count: [*plain[said : said + 1], 1 << 40, -1][:count],
        "end in the middle": lambda said, count: [
            *plain[said : said + 2],
            *ends(case),
            *plain[said + 3 :],
        ],
        "beyond the context": lambda said, count: [*plain[said:], *[9] * 1000],
    }
    return Scripted(len(prompt), guesses[case.drafter])


def ends(case: Case) -> frozenset[int]:
    return frozenset({2} if case.model == "smollm2" else {77})


def prompt_of(case: Case, number: int) -> list[int]:
    """Ten seeded tokens of text; for a fixture random ids, some of which return."""
    rng = np.random.default_rng(number)
    if case.model == "smollm2":
        start = rng.integers(len(TEXT) - 10)
        return TEXT[start : start + 10]
    return [int(id_) for id_ in rng.choice(rng.integers(3, 76, 6), 10)]


def answer(
    case: Case, opened: Open, prompt: list[int], plain: Any = None, **options: Any
) -> Generation:
    """Generate; drafted if `plain`, the ids without drafts, is given."""
    model = opened(case.model, case.compute)
    sampler = Sampler(SAMPLING[case.sampling], model.n_vocab, token_bytes=lambda token: b"")
    session = model.session()
    drafters = [] if plain is None else [drafter_for(case, opened, sampler, prompt, plain)]
    made = Generation(
        session,
        SimpleNamespace(push=lambda token: f"{token} ", flush=lambda: ""),
        sampler,
        prompt,
        Limits(context_length=CONTEXT, max_tokens=ANSWER[case.model]),
        end_tokens=options.get("stop", ends(case)),
        speculation=options.get("kind", Speculation)(
            drafters, n_vocab=model.n_vocab, rules=Rules(exact=case.length)
        ),
    )
    assert "".join(piece.text for piece in made).split() == [str(id_) for id_ in made.predicted]
    return made


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: str(CASES[number]))
def test_the_ids_are_those_of_plain_generation(number: int, opened: Open) -> None:
    case, prompt = CASES[number], prompt_of(CASES[number], number)
    plain = answer(case, opened, prompt)
    drafted = answer(case, opened, prompt, plain.predicted)
    assert drafted.predicted == plain.predicted
    assert drafted.stop_reason == plain.stop_reason
    assert drafted.session.tokens == plain.session.tokens


def test_every_pair_of_values_occurs() -> None:
    wanted = {pair for case in MATRIX for pair in pairs(case)}
    assert {pair for case in CASES for pair in pairs(case)} == wanted


def test_drafts_stand_and_are_refused_in_these_runs(opened: Open) -> None:
    for drafter, model in itertools.product(("draft model", "mostly right"), ANSWER):
        case, accepted, rejected = Case(drafter, 5, "greedy", "int8", model), 0, 0
        for number in range(4):
            prompt = prompt_of(case, number)
            plain = answer(case, opened, prompt)
            counts = answer(case, opened, prompt, plain.predicted)._speculation.counts
            accepted, rejected = accepted + counts.accepted, rejected + counts.rejected
        assert accepted > 0, case
        assert rejected > 0 or drafter == "draft model", case


# --- after a refusal -----------------------------------------------------------------------------


def held(model: Model, session: Any) -> bytes:
    """Every byte of a session's cache that counts: valid positions of all pages, and the state."""
    sequence, parts = session._sequence, []
    for position in range(session.position):
        page, slot = int(sequence.table[position // PAGE]), position % PAGE
        for region in model._regions:
            parts.append(keys_of(page, region)[:, slot // 16, :, slot % 16].tobytes())
            parts.append(values_of(page, region)[:, slot, : region.value_dim].tobytes())
    if sequence.states is not None:
        position, block = sequence.states.kept[-1]
        assert position == session.position
        parts.append(block.memory.tobytes())
    return b"".join(parts)


@pytest.mark.parametrize("compute", ["int8", "float32"])
@pytest.mark.parametrize("name", ANSWER)
def test_after_a_refusal_the_cache_is_that_of_a_fresh_session(
    name: str, compute: str, opened: Open
) -> None:
    model = opened(name, compute)
    refusals = []

    class Checked(Speculation):
        def settle(self, session: SessionLike) -> None:
            before = self.counts.rejected
            super().settle(session)
            if self.counts.rejected == before:
                return
            refusals.append(session.position)
            with model.session() as fresh:
                fresh.feed(session.tokens, logits="none")
                assert held(model, session) == held(model, fresh)
                with session.fork() as twin:  # type: ignore[attr-defined]
                    assert np.array_equal(twin.feed([11]), fresh.feed([11]))

    case = Case("mostly right", 5, "greedy", compute, name)
    prompt = (prompt_of(case, 1) * 13)[: PAGE - 6]  # the answer crosses the end of a page
    plain = answer(case, opened, prompt, stop=frozenset())
    answer(case, opened, prompt, plain.predicted, stop=frozenset(), kind=Checked)
    assert min(refusals) < PAGE < max(refusals)
