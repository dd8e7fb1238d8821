"""Speculation: the ids of plain generation whatever is drafted, on toys; counts, ends, rejection.

test_speculative_models.py does the same on real weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.draft_policy import SURE, Offer, Timings, lengths
from gnomon.engine.drafters import Draft, ModelDrafter, PromptLookup
from gnomon.engine.generate import Generation, Limits, fitted
from gnomon.engine.speculative import ASKED_EVERY, IDLE, LONGEST, Rules, Speculation
from gnomon.sampling.params import SamplingParams
from gnomon.sampling.sampler import Sampler

MakeToy = Callable[..., Any]
GREEDY = SamplingParams(temperature=0.0, repeat_penalty=None)
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


class Scripted:
    """Drafts what `guess(text, count)` says."""

    def __init__(self, guess: Callable[[list[int], int], list[int]], free: bool = False) -> None:
        self.guess, self.free, self.text = guess, free, list[int]()

    def restart(self, tokens: Sequence[int]) -> None:
        self.text = list(tokens)

    def accept(self, token: int) -> None:
        self.text.append(token)

    def offer(self) -> Offer:
        return Offer("scripted", 0.9, 16, self.free)

    def propose(self, count: int) -> Draft:
        return Draft(self.guess(self.text, count), [])


def next_letters(text: list[int], count: int) -> list[int]:
    return [text[-1] + 1 + i for i in range(count)]


def wrong_after(right: int) -> Callable[[list[int], int], list[int]]:
    """The next letters, wrong after the first few."""
    return lambda text, count: [*next_letters(text, count)[:right], *[ord("?")] * (count - right)]


ADVERSARIES: dict[str, Callable[[list[int], int], list[int]]] = {
    "constant": lambda text, count: [ord("a")] * count,
    "out of range": lambda text, count: [text[-1] + 1, 10**9, -5][:count],
    "negative": lambda text, count: [-1] * count,
    "an end in the middle": lambda text, count: [text[-1] + 1, 257, text[-1] + 2][:count],
    "an end at once": lambda text, count: [257] * count,
    "beyond the context": lambda text, count: next_letters(text, count) + [ord("a")] * 5000,
    "nothing": lambda text, count: [],
    "right": next_letters,
    "half right": wrong_after(2),
}


def make(
    model: Any,
    prompt: str,
    *drafters: Any,
    exact: int | None = None,
    least: int = 0,
    params: SamplingParams = GREEDY,
    timings: Timings | None = None,
    **options: Any,
) -> Generation:
    """A generation of the toy; `exact` and `least` are rules, the other keywords limits."""
    limits = Limits(**{"context_length": model.context_length, **options})
    rules = Rules(exact=exact, least=least)
    return Generation(
        model.session(),
        model.tokenizer.stream(),
        Sampler(params, model.n_vocab),
        fitted(model.tokenizer.encode(prompt, parse_special=True), limits),
        limits,
        end_tokens=model.tokenizer.eog,
        speculation=Speculation(drafters, n_vocab=model.n_vocab, rules=rules, timings=timings),
    )


def text(generation: Generation) -> str:
    return "".join(piece.text for piece in generation)


def told(generation: Generation) -> tuple[Any, ...]:
    """All that must not depend on drafts."""
    shown = text(generation)
    return (shown, generation.predicted, generation.stop_reason, list(generation.session.tokens))


# --- nothing changes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("exact", [1, 2, 3, 16])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_tokens": 5},
        {"stop_strings": ("jk",)},
        {"stop_strings": ("fgz", "mn")},
        {"context_length": 9},
        {"context_length": 9, "overflow": "rollingWindow", "keep": 1},
        {"context_length": 12, "overflow": "truncateMiddle", "keep": 3},
    ],
    ids=str,
)
def test_drafts_change_nothing(
    name: str, exact: int, limits: dict[str, Any], make_toy: MakeToy
) -> None:
    plain = make(make_toy(), "ab", **limits)
    drafted = make(make_toy(), "ab", Scripted(ADVERSARIES[name]), exact=exact, **limits)
    assert told(drafted) == told(plain)


@pytest.mark.parametrize("seed", range(5))
def test_sampled_answers_and_their_logprobs_do_not_change(seed: int, make_toy: MakeToy) -> None:
    params = SamplingParams(seed=seed, temperature=1.0, logprobs=2)
    limits = {"max_tokens": 60, "logprobs": True}
    plain = make(make_toy(), "dice", params=params, **limits)
    drafted = make(make_toy(), "dice", PromptLookup(), exact=7, params=params, **limits)
    assert told(drafted) == told(plain)
    assert drafted.logprobs == plain.logprobs


def test_prompts_are_shortened_alike(make_toy: MakeToy) -> None:
    limits = {"context_length": 20, "overflow": "rollingWindow", "max_tokens": 50}
    params = SamplingParams(seed=2, temperature=1.0)
    prompt = "dice 123 dice 123 dice 123"
    plain = make(make_toy(), prompt, params=params, **limits)
    drafted = make(make_toy(), prompt, PromptLookup(), exact=5, params=params, **limits)
    assert told(drafted) == told(plain)


def test_no_step_is_longer_than_the_context(make_toy: MakeToy) -> None:
    model = make_toy(context_length=9)
    made = make(model, "ab", Scripted(next_letters), exact=16)
    text(made)
    assert sum(model.fed) <= 9


def test_leaving_the_loop_takes_back_what_was_not_shown(make_toy: MakeToy) -> None:
    made = make(make_toy(), "ab", Scripted(next_letters), exact=10)
    pieces = iter(made)
    shown = [next(pieces).text for _ in range(3)]
    pieces.close()  # type: ignore[attr-defined]
    assert (shown, made.stop_reason) == (["c", "d", "e"], "userStopped")
    assert made.session.tokens == [256, *b"abcd"]


def test_an_interruption_inside_an_accepted_draft_ends_the_answer(make_toy: MakeToy) -> None:
    made = make(make_toy(), "ab", Scripted(next_letters), exact=10)
    made._interrupted = lambda: "userStopped" if len(made.predicted) == 4 else None
    assert (text(made), made.stop_reason) == ("cdef", "userStopped")


# --- steps and counts ----------------------------------------------------------------------------


def counts(generation: Generation) -> tuple[int, int, int, int]:
    found = generation._speculation.counts
    return found.total, found.accepted, found.rejected, found.ignored


def test_drafts_that_stand_save_steps(make_toy: MakeToy) -> None:
    model = make_toy()
    made = make(model, "a", Scripted(next_letters), exact=4, max_tokens=16)
    assert text(made) == ALPHABET[1:17].decode()
    assert model.fed == [2, 5, 5, 5]
    assert counts(made) == (12, 12, 0, 0)


def test_a_refused_draft_is_counted_with_all_behind_it(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", Scripted(wrong_after(1)), exact=4, max_tokens=3)
    text(made)
    assert counts(made) == (1, 1, 0, 0)
    made = make(make_toy(), "a", Scripted(wrong_after(1)), exact=4, max_tokens=7)
    text(made)
    assert counts(made) == (8, 3, 5, 0)


def test_what_is_never_verified_is_ignored(make_toy: MakeToy) -> None:
    made = make(make_toy(), "w", Scripted(ADVERSARIES["out of range"]), exact=3)
    assert text(made) == "xyz"
    assert counts(made) == (6, 1, 1, 4)


def test_short_drafts_are_ignored(make_toy: MakeToy) -> None:
    model = make_toy()
    made = make(model, "a", Scripted(next_letters), exact=3, least=4, max_tokens=6)
    text(made)
    assert model.fed == [2, 1, 1, 1, 1, 1]
    assert counts(made) == (9, 0, 0, 9)


def test_a_stop_inside_a_draft_leaves_the_rest_refused(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", Scripted(next_letters), exact=10, stop_strings=("ef",))
    assert text(made) == "bcd"
    assert counts(made) == (10, 4, 6, 0)


def test_a_free_drafter_without_a_guess_is_not_watched(make_toy: MakeToy) -> None:
    drafter = Scripted(ADVERSARIES["nothing"], free=True)
    assert text(make(make_toy(), "w", drafter, timings=timings(*STEEP))) == "xyz"


def test_a_draft_is_never_longer_than_can_be_held() -> None:
    assert Rules(exact=10**6).fixed == LONGEST


def test_pieces_tell_what_was_drafted(make_toy: MakeToy) -> None:
    made = make(make_toy(), "a", Scripted(wrong_after(2)), exact=3, max_tokens=5)
    assert [piece.drafted for piece in made] == [False, True, True, False, False]


# --- the length that pays ------------------------------------------------------------------------


def timings(*costs: tuple[Any, float]) -> Timings:
    """Timings that hold these costs and take no others."""
    found = Timings()
    for what, seconds in costs:
        for _ in range(1 + SURE):
            found.note(what, seconds)
    found.note = lambda what, seconds: None  # type: ignore[method-assign]
    return found


STEPS = [1, *(length + 1 for length in lengths() if length < 16)]  # their rows
FLAT, STEEP = [(rows, 1.0) for rows in STEPS], [(rows, float(rows)) for rows in STEPS]


def test_free_drafts_that_stand_grow(make_toy: MakeToy) -> None:
    model = make_toy()
    text(make(model, "a", Scripted(next_letters, free=True), timings=timings(*FLAT)))
    assert model.fed == [2, 16, 16]


def test_drafts_that_cannot_pay_are_not_made(make_toy: MakeToy) -> None:
    model = make_toy()
    made = make(model, "a", Scripted(next_letters), timings=timings(*STEEP))
    text(made)
    assert set(model.fed[1:]) == {1}
    assert counts(made) == (0, 0, 0, 0)


class Counted(Scripted):
    """Counts how often it is asked."""

    asked = 0

    def offer(self) -> Offer:
        self.asked += 1
        return super().offer()


@pytest.mark.parametrize(
    ("rules", "asked"), [(Rules(), IDLE + 24 // ASKED_EVERY), (Rules(exact=1), IDLE + 24)]
)
def test_drafters_that_do_not_pay_are_asked_less_often_unless_always_drafting(
    rules: Rules, asked: int
) -> None:
    drafter, costs = Counted(lambda text, count: []), timings(*STEEP)
    speculation = Speculation([drafter], n_vocab=300, rules=rules, timings=costs)
    session = SimpleNamespace(position=0, feed=lambda ids, logits: np.zeros(300, np.float32))
    for _ in range(IDLE + 24):
        speculation.feed(session, 1, 8)  # type: ignore[arg-type]
    assert drafter.asked == asked


def test_free_drafts_are_judged_without_being_verified(make_toy: MakeToy) -> None:
    model = make_toy()
    costs = timings((1, 1.0), (2, 1.9), (4, 2.0), (8, 2.0), (16, 4.0))
    drafter = Scripted(next_letters, free=True)
    drafter.offer = lambda: Offer("shy", 0.1, 16, True)  # type: ignore[method-assign]
    text(make(model, "a", drafter, timings=costs))
    assert set(model.fed[1:4]) == {1}
    assert max(model.fed) == 8


def test_costs_are_measured_in_the_run(make_toy: MakeToy) -> None:
    costs = Timings()
    text(make(make_toy(), "a", timings=costs))
    assert costs.best(1) is not None
    text(make(make_toy(), "a", Scripted(next_letters), exact=3, timings=costs))
    assert costs.best(4) is not None
    assert costs.best("scripted") is not None


def test_the_first_draft_of_an_answer_which_reads_the_prompt_is_not_measured(
    make_toy: MakeToy,
) -> None:
    costs, noted = Timings(), list[Any]()
    costs.note = lambda what, seconds: noted.append(what)  # type: ignore[method-assign]
    text(make(make_toy(), "a", Scripted(next_letters), exact=3, timings=costs))
    assert noted.count("scripted") == noted.count(4) - 1 > 0


# --- rejection -----------------------------------------------------------------------------------

N_VOCAB = 16
RNG = np.random.default_rng(8)
TARGET, SMALL = RNG.dirichlet(np.full(N_VOCAB, 0.5), size=(2, N_VOCAB))
SAMPLED = {"temperature": 1.0, "repeat_penalty": None, "top_k_sampling": None}
WHOLE = SAMPLED | {"top_p_sampling": None, "min_p_sampling": None}


class Markov:
    """A session whose logits depend on the last token alone."""

    context_length = 1 << 20

    def __init__(self, table: Any) -> None:
        self._logits, self.tokens = np.log(table).astype(np.float32), list[int]()

    @property
    def position(self) -> int:
        return len(self.tokens)

    def feed(self, ids: Sequence[int], logits: str = "last") -> Any:
        self.tokens = [*self.tokens, *ids]
        return self._logits[ids] if logits == "all" else self._logits[ids[-1]]

    def rewind(self, position: int) -> None:
        self.tokens = self.tokens[:position]


def markov(seed: int, tokens: int, *, exact: int, lookup: bool = False) -> list[int]:
    """Ids of the target's chain, drafted by the small one or by lookup, by the rejection rule."""
    sampler = Sampler(SamplingParams(seed=seed, **WHOLE), N_VOCAB)
    session: Any = Markov(SMALL)
    drafter = PromptLookup() if lookup else ModelDrafter(session, sampler, apart=True)
    target: Any = Markov(TARGET)
    made = Generation(
        target,
        SimpleNamespace(push=lambda token: "x", flush=lambda: ""),
        sampler,
        [0],
        Limits(context_length=1 << 20, max_tokens=tokens),
        speculation=Speculation(
            [drafter], n_vocab=N_VOCAB, rules=Rules(exact=exact, rejection=True)
        ),
    )
    text(made)
    assert made._speculation.counts.accepted > 0
    assert made._speculation.counts.rejected > 0
    return made.predicted


@pytest.mark.parametrize(
    ("exact", "lookup", "seeds"), [(4, False, 40), (1, False, 12), (4, True, 12)]
)
def test_rejection_keeps_the_distribution(exact: int, lookup: bool, seeds: int) -> None:
    pairs = np.zeros((N_VOCAB, N_VOCAB))
    for seed in range(seeds):
        ids = [0, *markov(seed, 300, exact=exact, lookup=lookup)]
        np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    drawn = pairs.sum()
    expected = pairs.sum(1, keepdims=True) * TARGET
    # The expected distance of as many exact draws is below half of this.
    assert np.abs(pairs - expected).sum() / 2 / drawn < math.sqrt(N_VOCAB**2 / drawn)


def test_rejection_gives_the_same_ids_for_the_same_seed() -> None:
    assert markov(1, 100, exact=4) == markov(1, 100, exact=4)
    assert markov(1, 100, exact=4) != markov(2, 100, exact=4)


def test_rejection_without_a_length_drafts_three_tokens() -> None:
    assert Rules(rejection=True).fixed == 3
    assert Rules().fixed is None
    assert Rules(exact=5).fixed == 5


def test_greedy_rejection_gives_the_ids_of_plain_generation(make_toy: MakeToy) -> None:
    plain = make(make_toy(), "ab")
    drafted = make(make_toy(), "ab", Scripted(wrong_after(2)))
    drafted._speculation._rules = Rules(rejection=True)
    assert told(drafted) == told(plain)


def test_rejection_gives_logprobs_of_every_token(make_toy: MakeToy) -> None:
    params = SamplingParams(temperature=0.0, repeat_penalty=None, logprobs=1)
    plain = make(make_toy(), "ab", params=params, logprobs=True)
    drafted = make(make_toy(), "ab", Scripted(wrong_after(2)), params=params, logprobs=True)
    drafted._speculation._rules = Rules(exact=4, rejection=True)
    text(plain)
    text(drafted)
    assert drafted.logprobs == plain.logprobs
