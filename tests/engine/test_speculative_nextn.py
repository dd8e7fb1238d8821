"""Drafts by the model's own layers: the same ids with and without, and rewinds leave no byte.

Random layers draft next to nothing that stands, so there are two kinds of weights: those of the
fixtures, and `apt` ones, whose layers add little to the embeddings, so that the last token alone
says most of the time what follows, to the model and to the layer that drafts for it.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.draft_policy import Timings
from gnomon.engine.drafters import MTPDrafter, PromptLookup
from gnomon.engine.generate import Generation, Limits
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.prefix import PrefixCache, SessionLike
from gnomon.engine.speculative import Rules, Speculation
from gnomon.kernels.kv_pages import PAGE, keys_of, values_of
from gnomon.sampling.params import Dry, SamplingParams
from gnomon.sampling.sampler import Sampler

ROOT = Path(__file__).parents[2]
ARCHS, GOLDEN = ROOT / "tests" / "golden" / "archs", ROOT / "tests" / "golden" / "nextn"
# One layer, one behind recurrent layers, and two, which draft one token each.
NAMES = ("glm4moe-moe", "qwen35-dense", "hy_v3-moe")
CONTEXT, LENGTH = 192, 24
SAMPLING = {
    "greedy": SamplingParams(temperature=0.0),
    "sampled": SamplingParams(seed=4, temperature=0.7, dry=Dry(multiplier=0.5)),
}
Open = Callable[..., Model]


def load_fixture_writer(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ARCHS / "fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN, APT = load_fixture_writer("fixture_as_it_is"), load_fixture_writer("fixture_made_apt")


def apt_weights(name: str, shape: list[int], seed: int = 7) -> np.ndarray:
    """Small steps away from the embedding, and a layer ahead that reads the token alone."""
    values = PLAIN.weights(name, shape, seed)
    if "norm" in name:
        return np.ones_like(values)
    if "nextn.eh_proj" in name:
        return np.eye(*values.shape, dtype=np.float32)
    if name == "token_embd.weight":
        return values * np.float32(10)
    small = ("attn_output", "ffn_down", "ssm_out")
    return values * np.float32(0.02) if any(part in name for part in small) else values


APT.weights = apt_weights  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """`opened(name, compute, apt)`."""
    folder, models = tmp_path_factory.mktemp("nextn"), dict[tuple[str, str, bool], Model]()

    def open_model(name: str, compute: Any, apt: bool = True) -> Model:
        path = folder / f"{name}-{apt}.gguf"
        if not path.exists():
            spec = json.loads((GOLDEN / f"{name}.json").read_text())
            if apt:
                own = ("embed_tokens", "shared_head_head")
                spec["tensors"] = [x for x in spec["tensors"] if x[0].split(".")[-2] not in own]
            (APT if apt else PLAIN).write(spec, str(path))
        if (name, compute, apt) not in models:
            config = LoadConfig(compute=compute, context_length=CONTEXT)
            models[name, compute, apt] = Model.open(path, config)
        return models[name, compute, apt]

    yield open_model
    for model in models.values():
        model.close()


def prompt_of(number: int, length: int = 10) -> list[int]:
    return np.random.default_rng(number).integers(3, 120, length).tolist()


def answer(model: Model, prompt: list[int], sampling: str, drafts: bool, **options: Any) -> Any:
    """Generate; `session`, `exact` length, `kind` of speculation and whether with `lookup`."""
    sampler = Sampler(SAMPLING[sampling], model.n_vocab, token_bytes=lambda token: b"")
    session = options.get("session") or model.session()
    apart = options.get("rejection", False)
    drafters: list[Any] = []
    if drafts:
        drafters.append(MTPDrafter(session.nextn, sampler, apart=apart))
    if options.get("lookup"):
        drafters.append(PromptLookup())
    rules = Rules(exact=options.get("exact"), rejection=apart)
    timings = options.get("timings") or Timings()
    kind = options.get("kind", Speculation)
    made = Generation(
        session,
        SimpleNamespace(push=lambda token: f"{token} ", flush=lambda: ""),
        sampler,
        prompt,
        Limits(context_length=CONTEXT, max_tokens=options.get("most", LENGTH)),
        speculation=kind(drafters, n_vocab=model.n_vocab, rules=rules, timings=timings),
    )
    assert "".join(piece.text for piece in made).split() == [str(id_) for id_ in made.predicted]
    return made


def counts(made: Any) -> Any:
    return made._speculation.counts


# --- the same ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize("apt", [True, False], ids=["apt", "random"])
@pytest.mark.parametrize("exact", [1, 2, 3, 4])
@pytest.mark.parametrize("compute", ["int8", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_those_of_plain_generation(
    name: str, compute: str, exact: int, apt: bool, opened: Open
) -> None:
    model = opened(name, compute, apt)
    for number, sampling in enumerate(SAMPLING):
        prompt = prompt_of(number)
        plain = answer(model, prompt, sampling, False)
        drafted = answer(model, prompt, sampling, True, exact=exact)
        assert drafted.predicted == plain.predicted, (sampling, number)
        assert drafted.session.tokens == plain.session.tokens
        assert counts(drafted).total
        plain.session.close()
        drafted.session.close()


@pytest.mark.parametrize("name", NAMES)
def test_drafts_stand_and_are_refused_in_these_runs(name: str, opened: Open) -> None:
    accepted = rejected = 0
    for sampling, number in itertools.product(SAMPLING, range(3)):
        found = counts(answer(opened(name, "int8"), prompt_of(number), sampling, True, exact=2))
        accepted, rejected = accepted + found.accepted, rejected + found.rejected
    assert accepted > 50
    assert rejected > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_the_same_with_the_length_that_pays_and_with_lookup(
    name: str, opened: Open
) -> None:
    model, timings = opened(name, "int8"), Timings()
    for number in range(2):
        prompt = prompt_of(number)
        plain = answer(model, prompt, "greedy", False, most=120)
        drafted = answer(
            model, prompt, "greedy", True, most=120, timings=timings, lookup=number > 0
        )
        assert drafted.predicted == plain.predicted


def test_float64_gives_the_same_ids(opened: Open) -> None:
    model = opened("glm4moe-moe", "float64")
    plain = answer(model, prompt_of(1), "greedy", False, most=12)
    drafted = answer(model, prompt_of(1), "greedy", True, most=12, exact=3)
    assert drafted.predicted == plain.predicted
    assert counts(drafted).accepted


def test_an_answer_to_the_end_of_the_context_is_the_same(opened: Open) -> None:
    model, prompt = opened("glm4moe-moe", "int8"), prompt_of(2, CONTEXT - 20)
    plain = answer(model, prompt, "greedy", False, most=50)
    drafted = answer(model, prompt, "greedy", True, most=50, exact=4)
    assert drafted.predicted == plain.predicted
    assert drafted.stop_reason == plain.stop_reason == "contextLengthReached"


def test_rejection_follows_from_the_seed(opened: Open) -> None:
    model = opened("glm4moe-moe", "int8")
    one, two = (answer(model, prompt_of(3), "sampled", True, rejection=True) for _ in range(2))
    assert one.predicted == two.predicted
    assert counts(one).accepted


@pytest.mark.parametrize("name", NAMES)
def test_a_second_turn_continues_a_kept_session(name: str, opened: Open) -> None:
    model = opened(name, "int8")
    kept: PrefixCache[Any] = PrefixCache(model.session)
    prompt = prompt_of(4, 30)
    for turn in range(3):
        session = kept.acquire(prompt)
        drafted = answer(model, prompt, "greedy", True, exact=3, session=session, most=12)
        plain = answer(model, prompt, "greedy", False, most=12)
        assert drafted.predicted == plain.predicted, turn
        prompt = prompt + drafted.predicted[:8] + prompt_of(5 + turn, 4)
        kept.release(session)
    kept.close()


# --- after a refusal ------------------------------------------------------------------------------


def held(model: Model, session: Any) -> bytes:
    """Every byte that counts of a session's caches, the recurrent state with it."""
    sequence, cache, parts = session._sequence, session.nextn, []
    with cache.ahead() as ahead:  # what waits is read before it is compared
        parts.append(ahead.feed(11).tobytes())
    places = [(sequence, region) for region in model._regions]
    places += [(cache.sequence, region) for region in cache.layers._regions]
    assert cache.sequence.length == session.position
    for position, (of, region) in itertools.product(range(session.position), places):
        page, slot = int(of.table[position // PAGE]), position % PAGE
        parts.append(keys_of(page, region)[:, slot // 16, :, slot % 16].tobytes())
        parts.append(values_of(page, region)[:, slot, : region.value_dim].tobytes())
    if sequence.states is not None:
        position, block = sequence.states.kept[-1]
        assert position == session.position
        parts.append(block.memory.tobytes())
    return b"".join(parts)


@pytest.mark.parametrize("compute", ["int8", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_after_a_refusal_all_is_that_of_a_fresh_session(
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

    prompt = prompt_of(6, PAGE - 10)  # the answer crosses the end of a page
    made = answer(model, prompt, "sampled", True, exact=4, kind=Checked)
    assert counts(made).accepted
    assert min(refusals) < PAGE < max(refusals)
