"""Speed with drafts over speed without: python -m benchmarks.bench_speculation

    [--model KEY_OR_FILE]          copying and prose with prompt lookup (smollm2-135m-instruct)
    [--target FILE --draft FILE]   synthetic acceptance: drafts cost what the draft model takes and
                                   stand with probability 0.7, whatever both models say

Targets: at least 2.0 where 60 % of drafts or more stand, 0.97 where they fail, 1.8 synthetic. Runs
with and without take turns; a ratio is that of the best run with to the best run without, because
what else the machine does only slows down. The answers are compared as well: they must be the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gnomon as lms
from gnomon.engine.draft_policy import Offer, Timings
from gnomon.engine.drafters import Draft, ModelDrafter
from gnomon.engine.generate import Generation, Limits
from gnomon.engine.model import Model
from gnomon.engine.speculative import Speculation
from gnomon.sampling.params import SamplingParams
from gnomon.sampling.sampler import Sampler

ROUNDS = 5
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
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if given.target is None:
        lookups(lms.llm(given.model), given.rounds)
    else:
        synthetic(Model.open(given.target), Model.open(given.draft), given.rounds)


def lookups(llm: Any, rounds: int) -> None:
    print(
        f"{'prompt':24s}{'plain t/s':>10s}{'ratio':>8s}{'stood':>8s}{'drafted':>9s}{'tokens':>8s}"
    )
    for name, prompt in (COPYING | PROSE).items():
        compare(llm, name, prompt, GREEDY, rounds)
    for name, prompt in PROSE.items():
        compare(llm, f"{name}, sampled", prompt, SAMPLED, rounds)


def compare(llm: Any, name: str, prompt: str, config: dict[str, Any], rounds: int) -> None:
    speeds: dict[str, list[float]] = {"plain": [], "drafted": []}
    for turn in range(rounds + 1):
        plain = llm.respond(prompt, config={**config, "promptLookup": False})
        drafted = llm.respond(prompt, config=config)
        if plain.content != drafted.content:
            raise SystemExit(f"{name}: the answers differ")
        if turn:  # the first compiles and records
            speeds["plain"].append(plain.stats.tokens_per_second)
            speeds["drafted"].append(drafted.stats.tokens_per_second)
    stats = drafted.stats
    total = stats.total_draft_tokens_count
    stood = stats.accepted_draft_tokens_count / max(total, 1)
    best, ratio = max(speeds["plain"]), max(speeds["drafted"]) / max(speeds["plain"])
    print(
        f"{name:24s}{best:10.0f}{ratio:8.2f}{stood:8.0%}{total:9d}{stats.predicted_tokens_count:8d}"
    )


class Synthetic:
    """A drafter that costs what a draft model costs, and is right as often as it is told to be."""

    def __init__(self, inner: ModelDrafter, answer: Sequence[int], start: int, rate: float) -> None:
        self._inner, self._answer, self._at = inner, answer, -start
        self._rate, self._rng = rate, np.random.default_rng(1)

    def restart(self, tokens: Sequence[int]) -> None:
        self._inner.restart(tokens)
        self._at += len(tokens)

    def accept(self, token: int) -> None:
        self._inner.accept(token)
        self._at += 1

    def offer(self) -> Offer | None:
        return self._inner.offer()

    def propose(self, count: int) -> Draft:
        made = len(self._inner.propose(count).ids)
        rest = self._answer[self._at : self._at + made]
        return Draft([id_ if self._rng.random() < self._rate else id_ ^ 1 for id_ in rest], [])


def synthetic(target: Model, draft: Model, rounds: int, tokens: int = 400) -> None:
    prompt, timings = list(range(100, 132)), Timings()
    costs = {name: step_seconds(model) for name, model in (("target", target), ("draft", draft))}
    print(f"a step takes {costs['target'] * 1e3:.2f} ms, one of the draft's", end=" ")
    print(f"{costs['draft'] / costs['target']:.1%} of it")
    speeds: dict[str, list[float]] = {"plain": [], "drafted": []}
    for turn in range(rounds + 1):
        plain = run(target, None, prompt, None, timings, tokens)
        drafted = run(target, draft, prompt, plain.predicted, timings, tokens)
        if drafted.predicted != plain.predicted:
            raise SystemExit("the answers differ")
        if turn:
            speeds["plain"].append(plain.tokens_per_second or 0.0)
            speeds["drafted"].append(drafted.tokens_per_second or 0.0)
    counts = drafted._speculation.counts
    print(f"ratio {max(speeds['drafted']) / max(speeds['plain']):.2f}, {counts}")


def run(
    target: Model,
    draft: Model | None,
    prompt: list[int],
    answer: Any,
    timings: Timings,
    tokens: int,
) -> Generation:
    sampler = Sampler(SamplingParams(temperature=0.0, repeat_penalty=None), target.n_vocab)
    drafters = []
    if draft is not None:
        inner = ModelDrafter(draft.session(), sampler)
        drafters = [Synthetic(inner, answer, len(prompt), 0.7)]
    made = Generation(
        target.session(),
        target.tokenizer.stream(),
        sampler,
        prompt,
        Limits(context_length=target.context_length, max_tokens=tokens),
        speculation=Speculation(drafters, n_vocab=target.n_vocab, timings=timings),
    )
    for _ in made:
        pass
    return made


def step_seconds(model: Model) -> float:
    """Seconds of a step of one row."""
    timings = Timings()
    run(model, None, [1, 2, 3], None, timings, 20)
    return timings.best(1) or 0.0


if __name__ == "__main__":
    main()
