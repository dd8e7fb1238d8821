"""Speed with drafts over speed without: python -m benchmarks.bench_speculation

    [--model KEY_OR_FILE]          copying and prose with prompt lookup (smollm2-135m-instruct)
    [--target FILE --draft FILE]   synthetic acceptance: drafts cost what the draft model takes and
                                   stand with probability 0.7, whatever both models say
    [--own FILE]                   the same with the file's own layers (make_nextn writes one), with
                                   drafts that never stand, and prompts of 512 tokens

Targets: at least 2.0 where 60 % of drafts or more stand, 0.97 where they fail, 1.8 synthetic; by
own layers, whose drafts cost more, 1.3 synthetic. A machine's speed changes from minute to minute:
answers with drafts and without are made by turns, a few tokens each, and the ratio is the median of
the rounds'. With own layers whole answers take turns, and the best run with to the best run without
is printed too. The answers are compared as well: they must be the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import gnomon as lms
from gnomon.engine.draft_policy import Offer, Timings
from gnomon.engine.drafters import Draft, Drafter, ModelDrafter, MTPDrafter
from gnomon.engine.generate import Generation, Limits
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.engine.speculative import Speculation
from gnomon.sampling.params import SamplingParams
from gnomon.sampling.sampler import Sampler

ROUNDS = 8
SLICE = 16
GREEDY = {"temperature": 0, "repeatPenalty": False, "maxTokens": 256}
SAMPLED = {"seed": 1, "maxTokens": 256}
PEOPLE = ("Anna Smith", "Bob Jones", "Carla Gomez", "Deng Wei", "Eve Adams", "Farid Khan")
CITIES = ("Berlin", "Paris", "Madrid", "Shanghai", "London", "Karachi")
TABLE = "\n".join(
    f"| {i} | {name} | {city} | {i * 17 % 101} |"
    for i, (name, city) in enumerate(zip(PEOPLE, CITIES, strict=True), 1)
)
TEXT = (
    "The old library stands at the corner of the market square. Its doors open at nine in the "
    "morning, and the first readers are often waiting on the steps. The librarian knows most of "
    "them by name. She keeps the newspapers of the last hundred years in the cellar, where it is "
    "cool and dry, and every spring she airs the rooms for a week. In the afternoon children come "
    "in from the school across the street and read on the wide window sills until it gets dark."
)
CODE = "\n".join(
    f"def area_of_{shape}({', '.join(sides)}):\n    result = {' * '.join(sides)}\n    return result"
    for shape, sides in {
        "square": ("side", "side_again"),
        "rectangle": ("width", "height"),
        "box": ("width", "height", "depth"),
    }.items()
)
COPYING = {
    "repeat a table": f"Repeat this table exactly:\n\n{TABLE}",
    "repeat a text": f"Repeat this text word for word:\n\n{TEXT}",
    "change a word": f"Edit this text: change 'nine' to 'ten'.\n\n{TEXT}\n\nThe edited text:",
    "correct a text": f"Correct the spelling mistakes in this text and change nothing else:\n\n"
    f"{TEXT.replace('library', 'libary').replace('afternoon', 'afternon')}",
    "rewrite a text": f"Replace the word 'library' by 'museum' in this text:\n\n{TEXT}",
    "edit code": f"Rename `result` to `value` in this code:\n\n{CODE}",
}
PROSE = {
    "a story": "Write a short story about a lighthouse keeper.",
    "an explanation": "Explain how photosynthesis works and why it matters.",
    "a poem": "Write a poem about the sea in winter.",
    "advice": "How should I prepare for a job interview?",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--target", type=Path)
    parser.add_argument("--draft", type=Path)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", type=int, default=400)
    given = parser.parse_args()
    if given.own is not None:
        model = Model.open(given.own, LoadConfig(multi_token_prediction=True))
        own_layers(model, given.rounds, given.tokens)
        prompts(model, given.rounds)
    elif given.target is None:
        lookups(lms.llm(given.model), given.rounds)
    else:
        models = Model.open(given.target), Model.open(given.draft)
        synthetic(*models, given.rounds, given.tokens)


def lookups(llm: Any, rounds: int) -> None:
    print(
        f"{'prompt':24s}{'plain t/s':>10s}{'ratio':>8s}{'stood':>8s}{'drafted':>9s}{'tokens':>8s}"
    )
    for name, prompt in (COPYING | PROSE).items():
        compare(llm, name, prompt, GREEDY, rounds)
    for name, prompt in PROSE.items():
        compare(llm, f"{name}, sampled", prompt, SAMPLED, rounds)


def compare(llm: Any, name: str, prompt: str, config: dict[str, Any], rounds: int) -> None:
    speeds, ratios, total, stood = [], [], 0, 0
    for turn in range(rounds + 1):
        order = (False, True) if turn % 2 else (True, False)
        streams = {
            drafts: llm.respond_stream(prompt, config={**config, "promptLookup": drafts})
            for drafts in order
        }
        by_turns(list(streams.values()))
        made = {drafts: stream.result() for drafts, stream in streams.items()}
        if made[False].content != made[True].content:
            raise SystemExit(f"{name}: the answers differ")
        if not turn:  # compiles and records
            continue
        speed, stats = made[False].stats.tokens_per_second, made[True].stats
        speeds.append(speed)
        ratios.append(stats.tokens_per_second / speed)
        total += stats.total_draft_tokens_count
        stood += stats.accepted_draft_tokens_count
    tokens, ratio = stats.predicted_tokens_count, median(ratios)
    print(
        f"{name:24s}{median(speeds):10.0f}{ratio:8.2f}{stood / max(total, 1):8.0%}"
        f"{total / rounds:9.1f}{tokens:8d}"
    )


class Synthetic:
    """A drafter whose drafts are right as often as it is told to be, whatever its model says.

    It goes on from what it guessed and keeps what stood, as it would if its model had said so.
    """

    def __init__(self, inner: Any, answer: Sequence[int], start: int, rate: float) -> None:
        self._inner, self._answer, self._at = inner, answer, -start
        self._rate, self._rng = rate, np.random.default_rng(1)
        self._pick, inner._pick = inner._pick, self._guess
        self._guessed = 0

    def restart(self, tokens: Sequence[int]) -> None:
        self._inner.restart(tokens)
        self._at += len(tokens)

    def accept(self, token: int) -> None:
        self._inner.accept(token)
        self._at += 1

    def offer(self) -> Offer | None:
        offer: Offer | None = self._inner.offer()
        return offer

    def propose(self, count: int) -> Draft:
        self._guessed = 0
        left = len(self._answer) - self._at
        draft: Draft = self._inner.propose(min(count, left)) if left else Draft([], [])
        return draft

    def _guess(self, *given: Any) -> int:
        self._pick(*given)  # costs what it costs
        right = self._answer[self._at + self._guessed]
        self._guessed += 1
        return right if self._rng.random() < self._rate else right ^ 1


Making = Callable[[Any, Sampler], Drafter]  # of a session


def synthetic(target: Model, draft: Model, rounds: int, tokens: int) -> None:
    prompt, timings = list(range(100, 132)), Timings()
    costs = {name: step_seconds(model) for name, model in (("target", target), ("draft", draft))}
    print(f"a step takes {costs['target'] * 1e3:.2f} ms, one of the draft's", end=" ")
    print(f"{costs['draft'] / costs['target']:.1%} of it")
    plain, ratios = run(target, prompt, timings, tokens), []
    right = standing(lambda _, sampler: ModelDrafter(draft.session(), sampler), prompt, plain, 0.7)
    for turn in range(rounds + 1):
        with target.session() as one, target.session() as other:
            again = generation(target, one, prompt, timings, tokens)
            drafted = generation(target, other, prompt, timings, tokens, right)
            by_turns((again, drafted))
        check_same(drafted, plain)
        if turn:  # the first compiles and records
            ratios.append((drafted.tokens_per_second or 0.0) / (again.tokens_per_second or 1.0))
    counts = drafted._speculation.counts
    print(f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {counts}")


def by_turns(answers: Sequence[Iterable[Any]]) -> None:
    """Make answers SLICE pieces at a time, so that the machine is as fast for each."""
    left = [iter(answer) for answer in answers]
    while left:
        left = [pieces for pieces in left if len(list(islice(pieces, SLICE))) == SLICE]


def own_layers(model: Model, rounds: int, tokens: int) -> None:
    """Speed with the layers, and drafts that stand at each rate, over speed without them."""
    prompt = list(range(100, 132))
    rates = {"0.7 stand": 0.7, "none stands": 0.0}
    timings = {name: Timings() for name in rates}
    speeds: dict[str, list[float]] = {name: [] for name in ("without", "not drafting", *rates)}
    counts: dict[str, Any] = {}

    def note(name: str, made: Generation, turn: int) -> None:
        check_same(made, without)
        counts[name] = made._speculation.counts
        if turn:  # the first compiles and records
            speeds[name].append(made.tokens_per_second or 0.0)

    for turn in range(rounds + 1):
        without = run(model, prompt, Timings(), tokens)
        note("without", without, turn)
        note("not drafting", run(model, prompt, Timings(), tokens, ahead=True), turn)
        for name, rate in rates.items():
            right = standing(_own, prompt, without, rate)
            note(name, run(model, prompt, timings[name], tokens, right, ahead=True), turn)
    draft, step = (timings["0.7 stand"].best(what) or 0.0 for what in (MTPDrafter.KIND, 4))
    print(f"a drafted token takes {draft * 1e3:.1f} ms, a step with three drafts {step * 1e3:.1f}")
    for name, found in speeds.items():
        each = np.divide(found, speeds["without"])
        ratio = max(found) / max(speeds["without"])
        print(f"{name:14s}{max(found):8.1f} t/s, ratio {ratio:.2f}", end=" ")
        print(f"({np.median(each):.2f} of a turn's), {counts[name]}")


def _own(session: Any, sampler: Sampler) -> Drafter:
    return MTPDrafter(session.nextn, sampler)


def prompts(model: Model, rounds: int, size: int = 512) -> None:
    """Seconds of a prompt without and with the layers, and of their first drafted token."""
    prompt = np.random.default_rng(1).integers(0, 256, size).tolist()
    seconds: dict[str, list[float]] = {"without": [], "with": [], "draft": []}
    for turn in range(rounds + 1):
        for name in ("without", "with"):
            with session_of(model, name == "with") as session:
                began = perf_counter()
                session.feed(prompt)
                seconds[name].append(perf_counter() - began)
                if session.nextn is None:
                    continue
                began = perf_counter()
                with session.nextn.ahead() as ahead:
                    ahead.feed(prompt[0])
                seconds["draft"].append(perf_counter() - began)
        if not turn:
            seconds = {name: [] for name in seconds}
    without, read, draft = (min(times) for times in seconds.values())
    print(f"a prompt of {size} tokens takes {without:.2f} s, with the layers", end=" ")
    print(f"{read / without:.2f} of it, with the first draft {(read + draft) / without:.2f}")


def session_of(model: Model, ahead: bool) -> Any:
    """A session with or without the layers ahead."""
    session = model.session()
    if not ahead:
        session.nextn = None
    return session


def standing(make: Making, prompt: list[int], plain: Generation, rate: float) -> Making:
    """Drafters made so, whose drafts stand as often as said in the answer of `plain`."""
    answer = plain.predicted
    return lambda session, sampler: Synthetic(make(session, sampler), answer, len(prompt), rate)


def check_same(drafted: Generation, plain: Generation) -> None:
    if drafted.predicted != plain.predicted:
        raise SystemExit("the answers differ")


def run(
    model: Model,
    prompt: list[int],
    timings: Timings,
    tokens: int,
    make: Making | None = None,
    ahead: bool = False,
) -> Generation:
    with session_of(model, ahead) as session:
        made = generation(model, session, prompt, timings, tokens, make)
        for _ in made:
            pass
    return made


def generation(
    model: Model,
    session: Any,
    prompt: list[int],
    timings: Timings,
    tokens: int,
    make: Making | None = None,
) -> Generation:
    sampler = Sampler(SamplingParams(temperature=0.0, repeat_penalty=None), model.n_vocab)
    return Generation(
        session,
        model.tokenizer.stream(),
        sampler,
        prompt,
        Limits(context_length=model.context_length, max_tokens=tokens),
        speculation=Speculation(
            [make(session, sampler)] if make else [], n_vocab=model.n_vocab, timings=timings
        ),
    )


def step_seconds(model: Model) -> float:
    """Seconds of a step of one row."""
    timings = Timings()
    run(model, [1, 2, 3], timings, 20)
    return timings.best(1) or 0.0


if __name__ == "__main__":
    main()
